/**
 * Block-wise text decoding, ids after each step (text_decode).
 *
 * @module
 */
import type { ScheduleName } from "../../core/diffusion/schedule.ts";
import { TEXT_CONFIDENCES, type TextConfidence } from "../../core/diffusion/text_blocks.ts";
import { foldText, startText, type TextSettings, TextStepper } from "../../core/tasks/text_stepper.ts";
import { textSteps } from "../../core/diffusion/text_blocks.ts";
import type { CaseFile, Json } from "./case_file.ts";
import { casePrompt } from "./check_text.ts";
import { Gaps, watchedUnderstanding } from "./gaps.ts";
import { referenceDraws } from "./reference_draws.ts";
import type { ReferenceModel } from "./reference_model.ts";
import { CaseReport } from "./report.ts";

/** The release's names of what ranks candidates. */
const RANKINGS: Readonly<Record<string, TextConfidence>> = {
  low_confidence: "probability",
  margin: "margin",
  top_k_margin: "margin",
  entropy: "entropy",
  random: "random",
};

/** What a case may set; another key means something that is not built. */
const KNOWN = new Set([
  "prefix_lm",
  "max_new_tokens",
  "block_length",
  "step_ratio",
  "step_per_block",
  "schedule",
  "schedule_kwargs",
  "temperature",
  "remasking",
]);

export async function checkDecode(file: CaseFile, reference: ReferenceModel): Promise<CaseReport[]> {
  const reports: CaseReport[] = [];
  for (const [name, entry] of file.cases) {
    const report = new CaseReport(file.name, name);
    reports.push(report);
    const settings = entry["settings"] as Json;
    if ("threshold" in settings || "factor" in settings) {
      report.optional = "the two-sided cache, which the README calls optional, is not built";
      continue;
    }
    const unknown = Object.keys(settings).find((key) => !KNOWN.has(key));
    if (unknown !== undefined) {
      report.fail("settings", `nothing here knows ${unknown}`);
      continue;
    }
    await checkCase(file, name, entry, textSettings(settings), report, reference);
  }
  return reports;
}

function textSettings(settings: Json): TextSettings {
  const block = settings["block_length"] as number;
  const shift = (settings["schedule_kwargs"] as { shift?: number } | undefined)?.shift;
  return {
    length: settings["max_new_tokens"] as number,
    block,
    stepsPerBlock: settings["step_per_block"] as number | undefined ??
      Math.trunc(block * (settings["step_ratio"] as number | undefined ?? 1)),
    schedule: settings["schedule"] as ScheduleName | undefined ?? "none",
    ...(shift === undefined ? {} : { shift }),
    temperature: settings["temperature"] as number | undefined ?? 0,
    confidence: RANKINGS[settings["remasking"] as string | undefined ?? "low_confidence"] ?? TEXT_CONFIDENCES[0],
    seed: 0,
    ends: [], // the release has no early stop
    prefixCache: settings["prefix_lm"] as boolean,
  };
}

async function checkCase(
  file: CaseFile,
  name: string,
  entry: Json,
  settings: TextSettings,
  report: CaseReport,
  reference: ReferenceModel,
) {
  const { config, model } = reference;
  const prompt = await casePrompt(file, name, entry, report, reference);
  report.equal("prompt_ids", prompt.ids, await file.integers(`${name}/prompt_ids`));
  report.equal("tokens_per_step", textSteps(settings).map(({ count }) => count), entry["tokens_per_step"] as number[]);
  const { length } = settings;
  const stored = async (tensor: string) =>
    file.has(`${name}/${tensor}`) ? await file.floats(`${name}/${tensor}`) : undefined;
  const confidence = await stored("confidence");
  const candidates = file.has(`${name}/candidate`) ? await file.integers(`${name}/candidate`) : undefined;
  const seen: { actual: number[]; expected: number[]; ids: number[]; expectedIds: number[] } = {
    actual: [],
    expected: [],
    ids: [],
    expectedIds: [],
  };
  const before = settings.prefixCache ? 0 : prompt.ids.length;
  const draws = referenceDraws({ vocabulary: config.embeddingSize, before });
  const margins = await stored("gap");
  const gaps = margins && new Gaps(margins, draws, "text");
  let state = startText(settings, config.maskTokenId);
  const watched = watchedUnderstanding(model.understanding, (logits, places) => {
    const vocabulary = logits.length / places.length;
    for (const [i, place] of places.entries()) {
      const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
      const position = place - before;
      gaps?.add(row, settings.temperature, state.step + 1, position, state.step * length + position);
    }
  });
  const stepper = new TextStepper(state, gaps === undefined ? model.understanding : watched, {
    prompt,
    draws,
    onCandidates(step, positions, all) {
      for (const [i, position] of positions.entries()) {
        const at = (step - 1) * length + position;
        seen.ids.push(all[i]?.id ?? NaN);
        seen.expectedIds.push(candidates?.[at] ?? NaN);
        seen.actual.push(all[i]?.confidence ?? NaN);
        seen.expected.push(confidence?.[at] ?? NaN);
      }
    },
  });
  const after: number[] = [];
  for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
    state = foldText(state, delta);
    after.push(...state.sequence.ids);
  }
  stepper.close();
  report.equal("ids_after_step", after, await file.integers(`${name}/ids_after_step`));
  if (Array.isArray(entry["final_ids"])) {
    report.equal("final_ids", state.sequence.ids, entry["final_ids"] as number[]);
  }
  if (candidates !== undefined) report.equal("candidate", seen.ids, seen.expectedIds);
  if (confidence !== undefined) report.close("confidence", seen.actual, seen.expected, file.tolerance);
  gaps?.report(report, file.tolerance);
  report.graphs.add("text_step").add("text_head");
}
