/**
 * Single forwards of a loop before guidance: raw logits of each row, which branch each token ran in, and what went in.
 *
 * @module
 */
import { TOKENS } from "../../core/model/chat_template.ts";
import { gridOf } from "../../core/model/cells.ts";
import { TextEmbedding } from "../../core/model/embedding.ts";
import type { DrawSetup } from "../../core/tasks/draw_stepper.ts";
import type { CaseFile } from "./case_file.ts";
import { checkLogits } from "./logits.ts";
import { observeDraw } from "./observed_draw.ts";
import type { ReferenceModel } from "./reference_model.ts";
import type { CaseReport } from "./report.ts";

/** The reference's names for rows, in its order, and where they stand among ours. */
function rowNames(setup: DrawSetup): readonly (readonly [name: string, row: number])[] {
  return setup.rows.length === 3 ? [["uncond", 2], ["enc", 1], ["full", 0]] : [["uncond", 1], ["cond", 0]];
}

/** @param after VQ ids after each step, [steps, positions]: what the forward of the next step sees */
export async function checkForwards(
  file: CaseFile,
  name: string,
  report: CaseReport,
  setup: DrawSetup,
  positions: number,
  after: Int32Array,
  reference: ReferenceModel,
) {
  const { config, model } = reference;
  const steps = new Set(file.names(name).flatMap((tensor) => /^step(\d+)\./.exec(tensor)?.[1] ?? []));
  if (steps.size === 0 && !file.has(`${name}/source_vq_tokens`)) return;
  const cache = await model.prompt(setup.rows, setup.suffix, setup.pictures);
  for (const text of steps) {
    const step = Number(text);
    const ids = step === 0
      ? new Uint16Array(positions).fill(config.vqMaskId)
      : Uint16Array.from(after.subarray((step - 1) * positions, step * positions));
    const rows = await model.draw(cache, ids, Uint32Array.from(ids.keys()));
    for (const [row, index] of rowNames(setup)) {
      await checkLogits(
        file,
        report,
        `${name}/step${step}.${row}`,
        rows[index] ?? new Float32Array(),
        positions,
        file.tolerance,
      );
    }
    await checkInput(file, name, report, setup, ids, step, cache, reference);
  }
  cache.release();
}

async function checkInput(
  file: CaseFile,
  name: string,
  report: CaseReport,
  setup: DrawSetup,
  ids: Uint16Array,
  step: number,
  cache: Awaited<ReturnType<ReferenceModel["model"]["prompt"]>>,
  reference: ReferenceModel,
) {
  const { config, weights, tokenizer } = reference;
  const cells = ids.length / 4;
  const source = tokenizer.id(TOKENS.sourceImage);
  const target = new Int32Array(cells).fill(tokenizer.id(TOKENS.targetImage));
  const suffix = (row: number) =>
    setup.suffix instanceof Int32Array ? setup.suffix : setup.suffix[row] ?? new Int32Array();
  const order = rowNames(setup).map(([, index]) => index);
  const sequences = order.map((row) => Int32Array.of(...setup.rows[row] ?? [], ...target, ...suffix(row)));
  const isGen = (id: number) => id === source || id === target[0];
  if (file.has(`${name}/step${step}.modality`)) {
    const modality = sequences.flatMap((sequence) => Array.from(sequence, (id) => Number(isGen(id))));
    report.equal(`step${step}.modality`, modality, await file.integers(`${name}/step${step}.modality`));
  }
  const head = `${name}/step${step}.input_head`;
  const sourceTokens = step === 0 && file.has(`${name}/source_vq_tokens`);
  if (!file.has(head) && !sourceTokens) return;
  const groups = await observeDraw(reference, cache, ids, gridOf(ids.length), ["gen_tokens"]);
  report.graphs.add(`draw_${config.promptAttention} (observed)`);
  if (sourceTokens) {
    const group = groups.find((each) => each.source > 0);
    const tokens = group?.outputs.get("gen_tokens")?.subarray(0, group.source * config.dModelGen);
    report.close("source_vq_tokens", tokens ?? [], await file.floats(`${name}/source_vq_tokens`), file.tolerance);
  }
  if (!file.has(head)) return;
  const embedding = new TextEmbedding(config, weights);
  const width = file.dims(head).at(-1) ?? 0;
  const actual: number[] = [];
  for (const [place, row] of order.entries()) {
    const sequence = sequences[place] ?? new Int32Array();
    const gen = groups.find(({ rows }) => rows.includes(row))?.outputs.get("gen_tokens") ?? new Float32Array();
    const words = sequence.map((id) => isGen(id) ? config.maskTokenId : id);
    const text = (await embedding.lookUp([words], setup.pictures?.features)).data as Float32Array;
    let next = 0;
    for (const [at, id] of sequence.entries()) {
      const from = isGen(id) ? next++ * config.dModelGen : at * config.dModel;
      actual.push(...(isGen(id) ? gen : text).subarray(from, from + width));
    }
  }
  report.close(`step${step}.input_head`, actual, await file.floats(head), file.tolerance);
}
