/**
 * Whole sampling loops, drawing and editing: the stepper that ships, step by step.
 *
 * @module
 */
import type { EncodedSource } from "../../core/tasks/draw_setup.ts";
import { drawSetup, editSetup, encodeSource } from "../../core/tasks/draw_setup.ts";
import { counts } from "../../core/diffusion/schedule.ts";
import { guided } from "../../core/diffusion/guidance.ts";
import { confidenceScores } from "../../core/diffusion/order/confidence.ts";
import { decay } from "../../core/diffusion/temperature.ts";
import { TOKENS } from "../../core/model/chat_template.ts";
import { squareForVq } from "../../core/image/frame.ts";
import { requireVision, viewsOf } from "../../core/model/vision.ts";
import { type DrawState, foldDraw } from "../../core/tasks/draw_state.ts";
import { type DrawSetup, DrawStepper } from "../../core/tasks/draw_stepper.ts";
import { maskedSequence } from "../../core/tasks/sequence.ts";
import type { CaseFile, Json } from "./case_file.ts";
import { checkSourceIds } from "./check_source_ids.ts";
import { Gaps, guidedLogits, watchedModel } from "./gaps.ts";
import { checkForwards } from "./check_loop_forwards.ts";
import { type LoopSettings, loopSettings, unknownSetting } from "./loop_settings.ts";
import { formulaPicture, type PictureFormula } from "./pictures.ts";
import { referenceDraws } from "./reference_draws.ts";
import type { ReferenceModel } from "./reference_model.ts";
import { CaseReport } from "./report.ts";

/** Temperatures: one unit in the last place of an fp32 number below 1. */
const LAST_PLACE = 2 ** -24;
/** Of guided logits, since guidance multiplies the error. */
const GUIDED_LIMIT = 5e-4;
/** Decoded pixels. */
const PIXEL_LIMIT = 1;

export async function checkLoops(file: CaseFile, reference: ReferenceModel): Promise<CaseReport[]> {
  const reports: CaseReport[] = [];
  for (const [name, entry] of file.cases) {
    const report = new CaseReport(file.name, name);
    reports.push(report);
    const settings = entry["settings"] as Json;
    const unknown = unknownSetting(settings);
    if (unknown !== undefined) report.fail("settings", `nothing here knows ${unknown}`);
    else if (file.has(`${name}/ids_after_step`)) {
      await checkLoop(file, name, entry, loopSettings(settings), report, reference);
    }
  }
  return reports;
}

/** An edit has a source picture. */
function isEdit(entry: Json): boolean {
  return entry["image"] !== undefined && entry["image"] !== null;
}

async function checkLoop(
  file: CaseFile,
  name: string,
  entry: Json,
  settings: LoopSettings,
  report: CaseReport,
  reference: ReferenceModel,
) {
  const { config, model, tokenizer } = reference;
  const setup = isEdit(entry)
    ? await editing(file, name, entry, settings, report, reference)
    : await drawing(file, name, entry, settings, report, reference);
  const cells = settings.positions / 4;
  const suffix = setup.suffix instanceof Int32Array ? setup.suffix : setup.suffix[0] ?? new Int32Array();
  const target = new Int32Array(cells).fill(tokenizer.id(TOKENS.targetImage));
  const whole = Int32Array.of(...setup.rows[0], ...target, ...suffix);
  report.equal("sequence_ids", whole, await file.integers(`${name}/sequence_ids`));
  if (file.has(`${name}/is_prompt`)) {
    // What the unconditional row, the last one, masks.
    const masked = setup.rows.at(-1) ?? new Int32Array();
    const isPrompt = whole.map((_, place) => Number(masked[place] === config.maskTokenId));
    report.equal("is_prompt", isPrompt, await file.integers(`${name}/is_prompt`));
  }

  const { draw } = settings;
  const list = counts(settings.positions, draw.steps, draw.schedule, draw.shift);
  report.equal("counts", list, entry["counts"] as number[]);
  checkSettings(entry, { ...settings, draw: { ...draw, steps: list.length } }, report);

  const uniform = file.has(`${name}/uniform_draws`) ? await file.floats(`${name}/uniform_draws`) : undefined;
  const draws = referenceDraws({
    vocabulary: config.vqCodes,
    ...(uniform === undefined ? {} : { confidence: { values: uniform, positions: settings.positions } }),
  });
  const probability = { actual: [] as number[], expected: [] as number[] };
  const stored = file.has(`${name}/probability`) ? await file.floats(`${name}/probability`) : undefined;
  let state: DrawState = {
    settings: { ...draw, steps: list.length },
    step: 0,
    counts: list,
    sequence: maskedSequence("vq", settings.positions, config.vqMaskId),
  };
  const ranked = file.has(`${name}/confidence`) ? await file.floats(`${name}/confidence`) : undefined;
  const confidence = { actual: [] as number[], expected: [] as number[] };
  const factor = (kind: typeof draw.temperatureDecay, step: number, minimum: number) =>
    decay(kind, step, list.length, minimum, draw.shift);
  const margins = file.has(`${name}/gap`) ? await file.floats(`${name}/gap`) : undefined;
  const gaps = margins && new Gaps(margins, draws, "image");
  const watched = watchedModel(model, (rows, positions) => {
    const step = state.step + 1;
    const temperature = draw.temperature * factor(draw.temperatureDecay, step, draw.temperatureMinimum);
    for (const [i, position] of positions.entries()) {
      const logits = guidedLogits(rows, i, config.vqCodes, draw.guidance, setup.edit);
      // A large loop's gaps are those of each position's own step.
      const place = margins?.length === settings.positions ? position : state.step * settings.positions + position;
      gaps?.add(logits, temperature, step, position, place);
    }
  });
  const stepper = new DrawStepper(state, gaps === undefined ? model : watched, {
    ...setup,
    draws,
    onCandidates(step, positions, _ids, logProbability) {
      const noise = draw.confidenceTemperature * factor(draw.confidenceDecay, step, draw.confidenceMinimum);
      const scores = confidenceScores(positions, logProbability, draw.confidencePolicy, noise, draws, step);
      for (const [i, position] of positions.entries()) {
        confidence.actual.push(scores[i] ?? NaN);
        confidence.expected.push(ranked?.[(step - 1) * settings.positions + position] ?? NaN);
      }
      for (const [i, position] of positions.entries()) {
        probability.actual.push(Math.exp(logProbability[i] ?? NaN));
        probability.expected.push(stored?.[(step - 1) * settings.positions + position] ?? NaN);
      }
    },
  });
  const after: number[] = [];
  const picked: Uint32Array[] = [];
  for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
    state = foldDraw(state, delta);
    after.push(...state.sequence.ids);
    picked.push(delta.positions);
  }
  stepper.close();
  report.graphs.add(`draw_${config.promptAttention}`);
  const expected = await file.integers(`${name}/ids_after_step`);
  report.equal("ids_after_step", after, expected);
  for (const [step, wanted] of (entry["picked"] as number[][] | undefined ?? []).entries()) {
    report.equal(`picked ${step}`, picked[step] ?? [], wanted);
  }
  if (stored !== undefined) report.close("probability", probability.actual, probability.expected, file.tolerance);
  if (ranked !== undefined) report.close("confidence", confidence.actual, confidence.expected, file.tolerance);
  gaps?.report(report, GUIDED_LIMIT);
  if (file.has(`${name}/pixels`)) {
    const { data, width } = await model.decode(Uint16Array.from(state.sequence.ids));
    const [rows = 0, columns = 0] = file.dims(`${name}/pixels`);
    // Large pictures are kept in every n-th pixel.
    const stride = width / columns;
    const kept = Array.from({ length: rows * columns * 3 }, (_, i) => {
      const [y, x] = [Math.floor(i / 3 / columns) * stride, (Math.floor(i / 3) % columns) * stride];
      return data[(y * width + x) * 3 + i % 3] ?? NaN;
    });
    report.within("pixels", kept, await file.integers(`${name}/pixels`), PIXEL_LIMIT);
    report.graphs.add("vq_decode");
  }
  await checkForwards(file, name, report, setup, settings.positions, expected, reference);
}

function checkSettings(entry: Json, { draw }: LoopSettings, report: CaseReport): void {
  const steps = Array.from({ length: draw.steps }, (_, i) => i + 1);
  const wanted = (key: string) => entry[key] as readonly (number | boolean)[] | undefined;
  const isGuided = wanted("guided_steps");
  if (isGuided !== undefined) {
    const actual = steps.map((step) => Number(guided(step, draw.steps, draw.guidanceInterval ?? undefined)));
    report.equal("guided_steps", actual, isGuided.map(Number));
  }
  const sampling = wanted("sampling_temperature_factor");
  if (sampling !== undefined) {
    const actual = steps.map((step) =>
      decay(draw.temperatureDecay, step, draw.steps, draw.temperatureMinimum, draw.shift)
    );
    report.within("sampling_temperature_factor", actual, sampling.map(Number), LAST_PLACE);
  }
}

async function drawing(
  file: CaseFile,
  name: string,
  entry: Json,
  { draw, plan, feedback }: LoopSettings,
  report: CaseReport,
  reference: ReferenceModel,
): Promise<DrawSetup> {
  const { config, model } = reference;
  const text = String(entry["text"]);
  const lead = text.indexOf(draw.prompt) + draw.prompt.length + 1;
  const micro = /^[^]*?(?= {2}Please also consider|<\|eot_id\|>)/.exec(text.slice(lead))?.[0] ?? "";
  const pictures = (entry["images"] as readonly PictureFormula[] | undefined ?? []).map(formulaPicture);
  const stored = file.has(`${name}/siglip_tokens`) ? await file.floats(`${name}/siglip_tokens`) : undefined;
  let used = 0;
  const seen = [];
  for (const [index, words] of feedback.entries()) {
    const picture = pictures[index];
    if (picture === undefined) throw new RangeError(`${name} has no picture for feedback ${index}`);
    // A single view among several pictures of a prompt (facts 7).
    const length = viewsOf(requireVision(config), picture, "single").order.length * config.dModel;
    const features = stored?.subarray(used, used += length) ?? await model.understanding.look(picture, "single");
    seen.push({ text: words, features });
  }
  if (stored !== undefined) report.equal("picture tokens", [used], [stored.length]);
  return drawSetup({ prompt: draw.prompt, micro, ...(plan === undefined ? {} : { plan }), feedback: seen }, model);
}

async function editing(
  file: CaseFile,
  name: string,
  entry: Json,
  settings: LoopSettings,
  report: CaseReport,
  reference: ReferenceModel,
): Promise<DrawSetup> {
  const { model, config } = reference;
  const picture = formulaPicture(entry["image"] as PictureFormula);
  const own = await encodeSource(model, picture, settings.side);
  let source: EncodedSource = own;
  if (file.has(`${name}/source_vq_ids`)) {
    const ids = await file.integers(`${name}/source_vq_ids`);
    const square = squareForVq(picture, settings.side);
    await checkSourceIds(report, square, own.ids, ids, file.tolerance, reference);
    source = { ...source, ids: Uint16Array.from(ids) };
  }
  if (file.has(`${name}/siglip_tokens`)) {
    const features = await file.floats(`${name}/siglip_tokens`);
    report.equal("picture tokens", [own.features.length / config.dModel], [features.length / config.dModel]);
    source = { ...source, features };
  }
  const { plan, editMode: mode, imageGuidance, draw } = settings;
  const request = { instruction: draw.prompt, mode, imageGuidance, ...(plan === undefined ? {} : { plan }) };
  report.graphs.add("vq_encode");
  return editSetup(request, source, model);
}
