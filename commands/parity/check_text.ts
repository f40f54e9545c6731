/**
 * The understanding branch: logits with and without prefix cache, decoding, grounding.
 *
 * @module
 */
import { encodeWithImages, IMAGE_PLACEHOLDER } from "../../core/model/chat_template.ts";
import { boxToLoc } from "../../core/model/boxes.ts";
import type { ModelConfig } from "../../core/model/config.ts";
import { TextEmbedding } from "../../core/model/embedding.ts";
import { textGraph } from "../../core/model/graphs/text_step.ts";
import { hostFloats } from "../../core/model/outputs.ts";
import { groundListText, groundOneText, groundPrompt } from "../../core/model/prompts.ts";
import type { TextInput } from "../../core/model/types.ts";
import { createUnderstanding, nothingBefore, textFeeds } from "../../core/model/understanding.ts";
import { requireVision, viewsOf } from "../../core/model/vision.ts";
import { groundBoxes } from "../../core/tasks/ground_boxes.ts";
import type { CaseFile, Json } from "./case_file.ts";
import { checkLogits } from "./logits.ts";
import { formulaPicture, type PictureFormula } from "./pictures.ts";
import { type ReferenceModel, withScaledHead } from "./reference_model.ts";
import { CaseReport } from "./report.ts";

/** A case's prompt as the code that ships makes it from the case's text, with the picture tokens that the case used. */
export async function casePrompt(
  file: CaseFile,
  name: string,
  settings: Json,
  report: CaseReport,
  { tokenizer, config }: ReferenceModel,
): Promise<TextInput> {
  const text = String(settings["text"]);
  const stored = file.has(`${name}/image_features`) ? await file.floats(`${name}/image_features`) : undefined;
  const formula = settings["image"] as PictureFormula | null | undefined;
  const tokens = formula ? [viewsOf(requireVision(config), formulaPicture(formula), "tiles").order.length] : [];
  if (stored !== undefined) report.equal("picture tokens", tokens, [stored.length / config.dModel]);
  const placed = text.includes(IMAGE_PLACEHOLDER) ? tokens : [];
  const ids = encodeWithImages(text, tokenizer, placed);
  return stored === undefined ? { ids } : { ids, features: stored };
}

export async function checkTextForward(file: CaseFile, reference: ReferenceModel): Promise<CaseReport[]> {
  const { model: { understanding }, tokenizer, config } = reference;
  const reports: CaseReport[] = [];
  for (const [name, settings] of file.cases) {
    const report = new CaseReport(file.name, name);
    const prompt = await casePrompt(file, name, settings, report, reference);
    report.equal("prompt_ids", prompt.ids, await file.integers(`${name}/prompt_ids`));
    const answer = await file.integers(`${name}/answer_ids`);
    const places = Uint32Array.from(answer.keys());
    const behind = places.map((place) => prompt.ids.length + place);
    const whole = { ...prompt, ids: Int32Array.of(...prompt.ids, ...answer) };
    const logits = await understanding.words(undefined, whole, behind);
    await checkLogits(file, report, `${name}/nocache`, logits, answer.length, file.tolerance);
    if (file.has(`${name}/nocache.loc`)) {
      const expected = await file.floats(`${name}/nocache.loc`);
      const asked = behind.slice(-expected.length / config.locTokens);
      const first = tokenizer.id("<LOC_0>");
      const rows = Array.from({ length: asked.length }, (_, i) => {
        const from = (answer.length - asked.length + i) * (logits.length / answer.length) + first;
        return [...logits.subarray(from, from + config.locTokens)];
      });
      report.close("nocache.loc", await understanding.locations(undefined, whole, asked), expected, file.tolerance);
      report.close("nocache.loc of all words", rows.flat(), expected, file.tolerance);
      report.graphs.add("text_head_rows");
    }
    const cache = await understanding.read(prompt);
    const cached = await understanding.words(cache, { ids: answer }, places);
    await checkLogits(file, report, `${name}/cached`, cached, answer.length, file.tolerance);
    cache.release();
    report.graphs.add("text_step").add("text_head");
    await checkStates(file, name, report, prompt, answer, reference);
    reports.push(report);
  }
  return reports;
}

/** States after each block, and the prompt's keys and values, on the same graph through `observe`. */
async function checkStates(
  file: CaseFile,
  name: string,
  report: CaseReport,
  prompt: TextInput,
  answer: Int32Array,
  { config, weights, engine }: ReferenceModel,
) {
  const wanted = file.names(name).filter((tensor) => /\.block\d+|^cache\./.test(tensor));
  if (wanted.length === 0) return;
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  const kinds = ["", ".keys", ".values"];
  const observe = layers.flatMap((layer) => kinds.map((kind) => `block${layer}${kind}.text`));
  const session = await engine.load(await textGraph(config, weights, observe));
  const embedding = new TextEmbedding(config, weights);
  const run = async (past: number, input: TextInput, before: ReturnType<typeof nothingBefore>) => {
    const feeds = {
      ...textFeeds(past, input.ids.length, Uint32Array.of(0)),
      embeddings: await embedding.lookUp([input.ids], input.features),
      ...before,
    };
    const own = layers.flatMap((layer) => [`own.keys.${layer}`, `own.values.${layer}`]);
    return await session.run(feeds, [...observe, ...own]);
  };
  const first = await run(0, prompt, nothingBefore(config));
  const past = Object.fromEntries(
    layers.flatMap((layer) =>
      ["keys", "values"].flatMap((kind) => {
        const tensor = first[`own.${kind}.${layer}`];
        return tensor === undefined ? [] : [[`${kind}.${layer}`, tensor] as const];
      })
    ),
  );
  const second = await run(prompt.ids.length, { ids: answer }, past);
  const whole = await run(0, { ...prompt, ids: Int32Array.of(...prompt.ids, ...answer) }, nothingBefore(config));
  for (const tensor of wanted) {
    const expected = await file.floats(`${name}/${tensor}`);
    const actual = await observed(tensor, expected.length, { first, second, whole }, config);
    if (actual === undefined) report.fail(tensor, "nothing here gives a tensor of that name");
    else report.close(tensor, actual, expected, file.tolerance);
  }
  await session.release();
  report.graphs.add("text_step (observed)");
}

type Outputs = Parameters<typeof hostFloats>[0];

async function observed(
  tensor: string,
  length: number,
  runs: Readonly<Record<"first" | "second" | "whole", Outputs>>,
  config: ModelConfig,
): Promise<Float32Array | undefined> {
  const [, run, layer] = /^(nocache|cached)\.block(\d+)(?:\.tail)?$/.exec(tensor) ?? [];
  if (run !== undefined) {
    const states = await hostFloats(run === "cached" ? runs.second : runs.whole, `block${layer}.text`);
    return states.subarray(states.length - length);
  }
  const [, kind, cached] = /^cache\.([kv])(\d+)$/.exec(tensor) ?? [];
  if (kind === undefined) return undefined;
  const flat = await hostFloats(runs.first, `block${cached}.${kind === "k" ? "keys" : "values"}.text`);
  return byHead(flat, config);
}

/** [tokens, heads * size] to [heads, tokens, size]. */
function byHead(flat: Float32Array, config: { readonly heads: number; readonly headSize: number }): Float32Array {
  const { heads, headSize } = config;
  const tokens = flat.length / (heads * headSize);
  const result = new Float32Array(flat.length);
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      const from = (token * heads + head) * headSize;
      result.set(flat.subarray(from, from + headSize), (head * tokens + token) * headSize);
    }
  }
  return result;
}

export async function checkGrounding(file: CaseFile, reference: ReferenceModel): Promise<CaseReport[]> {
  const { tokenizer, config } = reference;
  const scale = file.json["head_rows_times"] as { first: number; last: number; factor: number } | undefined;
  const weights = scale === undefined ? reference.weights : withScaledHead(reference.weights, scale);
  const understanding = createUnderstanding({ ...reference, weights });
  const reports: CaseReport[] = [];
  for (const [name, settings] of file.cases) {
    const report = new CaseReport(file.name, name);
    const expressions = settings["expressions"] as string[];
    const text = settings["mode"] === "grand" ? groundListText(expressions) : groundOneText(expressions[0] ?? "");
    report.text("text", text, String(settings["text"]));
    const formula = settings["image"] as PictureFormula;
    const picture = formulaPicture(formula);
    const tokens = viewsOf(requireVision(config), picture, "tiles").order.length;
    const prompt = groundPrompt(text, tokens, tokenizer);
    report.equal("sequence_ids", prompt.ids, await file.integers(`${name}/sequence_ids`));
    report.equal("mask_positions", prompt.maskPositions, settings["mask_positions"] as number[]);
    const features = file.has(`${name}/image_features`)
      ? await file.floats(`${name}/image_features`)
      : await understanding.look(picture, "tiles");
    const forwards: Float32Array[] = [];
    const boxes = await groundBoxes(understanding, tokenizer, prompt, features, {
      steps: settings["steps"] as number,
      onForward: (_, logits) => forwards.push(logits),
    });
    report.equal("boxes_loc", boxes.flat(), (settings["boxes_loc"] as number[][]).flat());
    for (const [forward, logits] of forwards.entries()) {
      const stem = `${name}/forward${forward}`;
      const masks = prompt.maskPositions.length;
      const row = (index: number) => logits.subarray(index * config.locTokens, (index + 1) * config.locTokens);
      const best = Array.from({ length: masks }, (_, index) => row(index).reduce((a, b) => Math.max(a, b)));
      if (file.has(`${stem}.loc_logits`)) {
        report.close(`forward${forward}.loc_logits`, logits, await file.floats(`${stem}.loc_logits`), file.tolerance);
      }
      if (file.has(`${stem}.argmax`)) {
        const ids = best.map((value, index) => row(index).indexOf(value) + tokenizer.id("<LOC_0>"));
        report.equal(`forward${forward}.argmax`, ids, await file.integers(`${stem}.argmax`));
      }
      if (file.has(`${stem}.top_value`)) {
        report.close(`forward${forward}.top_value`, best, await file.floats(`${stem}.top_value`), file.tolerance);
      }
    }
    report.graphs.add("text_step").add("text_head_rows");
    reports.push(report);
  }
  await understanding.close();
  return [...reports, ...frameReports(file)];
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly box_xyxy: readonly [number, number, number, number];
  readonly loc: readonly [number, number, number, number];
}

function frameReports(file: CaseFile): CaseReport[] {
  const frames = file.json["frame"] as readonly Frame[] | undefined;
  if (frames === undefined) return [];
  const report = new CaseReport(file.name, "frame");
  for (const { width, height, box_xyxy: [x1, y1, x2, y2], loc } of frames) {
    report.equal(`${width}x${height} ${x1},${y1},${x2},${y2}`, boxToLoc({ x1, y1, x2, y2 }, { width, height }), loc);
  }
  return [report];
}
