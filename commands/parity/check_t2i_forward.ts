/**
 * One image forward, both guidance rows: logits on the production graph, states through `observe`.
 *
 * @module
 */
import { guide } from "../../core/diffusion/guidance.ts";
import type { Grid } from "../../core/model/cells.ts";
import { TextEmbedding } from "../../core/model/embedding.ts";
import type { CaseFile } from "./case_file.ts";
import { checkLogits } from "./logits.ts";
import { type ObservedGroup, observeDraw } from "./observed_draw.ts";
import type { ReferenceModel } from "./reference_model.ts";
import { CaseReport } from "./report.ts";

/** Guidance multiplies the error. */
const GUIDED_LIMIT = 5e-4;

export async function checkT2iForward(file: CaseFile, reference: ReferenceModel): Promise<CaseReport[]> {
  const { config, model } = reference;
  const reports: CaseReport[] = [];
  for (const [name, settings] of file.cases) {
    const report = new CaseReport(file.name, name);
    const [height, width] = settings["grid"] as [number, number];
    const guidance = settings["guidance"] as number;
    const text = await file.integers(`${name}/text_ids`);
    const image = await file.integers(`${name}/is_image`);
    const first = image.indexOf(1);
    const cond = text.slice(0, first);
    const masked = settings["uncond_masked_prefix"] as number;
    const uncond = cond.slice().fill(config.maskTokenId, 0, masked);
    const suffix = text.slice(image.lastIndexOf(1) + 1);
    const ids = Uint16Array.from(await file.integers(`${name}/vq_ids`));
    const cache = await model.prompt([uncond, cond], suffix);
    const logits = await model.draw(cache, ids, Uint32Array.from(ids.keys()), width);
    const [un = new Float32Array(), c = new Float32Array()] = logits;
    await checkLogits(file, report, `${name}/logits_uncond`, un, ids.length, file.tolerance);
    await checkLogits(file, report, `${name}/logits_cond`, c, ids.length, file.tolerance);
    const guided = new Float32Array(c.length);
    guide(c, un, 0, c.length, guidance, guided);
    await checkLogits(file, report, `${name}/guided`, guided, ids.length, GUIDED_LIMIT);
    report.graphs.add(`draw_${config.promptAttention}`);
    await checkStates(file, name, report, reference, {
      ids,
      grid: { width, height },
      first,
      image,
      cache,
      text,
      masked,
    });
    cache.release();
    reports.push(report);
  }
  return reports;
}

interface Forward {
  readonly ids: Uint16Array;
  readonly grid: Grid;
  /** Place of the first image token. */
  readonly first: number;
  readonly image: Int32Array;
  readonly text: Int32Array;
  /** Tokens that the unconditional row masks, from the start. */
  readonly masked: number;
  readonly cache: Awaited<ReturnType<ReferenceModel["model"]["prompt"]>>;
}

async function checkStates(
  file: CaseFile,
  name: string,
  report: CaseReport,
  reference: ReferenceModel,
  forward: Forward,
) {
  const present = new Set(file.names(name));
  const layers = Array.from({ length: reference.config.layers }, (_, layer) => `block${layer}`);
  const sequences = ["input", ...layers, "ln_f"].filter((tensor) => present.has(tensor));
  const grids = ["gen_embedding", "downsample", "gen_tokens", "upsample", "gen_predictor_2"]
    .filter((tensor) => present.has(tensor));
  if (sequences.length + grids.length === 0) return;
  const states = sequences.filter((tensor) => tensor !== "input").flatMap((
    tensor,
  ) => [`${tensor}.gen`, `${tensor}.text`]);
  const observe = new Set([...grids, ...states, "gen_tokens"]);
  const [group] = await observeDraw(reference, forward.cache, forward.ids, forward.grid, [...observe]);
  if (group === undefined) throw new RangeError("a prompt has rows");
  report.graphs.add(`draw_${reference.config.promptAttention} (observed)`);
  for (const tensor of grids) {
    const values = group.outputs.get(tensor) ?? new Float32Array();
    // Embeddings are observed cell by cell and stored row by row.
    const actual = tensor === "gen_embedding" ? byRow(values, forward.grid) : values;
    report.close(tensor, actual, await file.floats(`${name}/${tensor}`), file.tolerance);
  }
  for (const tensor of sequences) {
    const expected = await file.floats(`${name}/${tensor}`);
    const actual = await assembled(tensor, reference, group, forward);
    report.close(tensor, actual, expected, file.tolerance);
  }
}

function byRow(values: Float32Array, { width, height }: Grid): Float32Array {
  const size = values.length / (width * height);
  const result = new Float32Array(values.length);
  for (let place = 0; place < width * height; place++) {
    const [x, y] = [place % width, Math.floor(place / width)];
    const id = ((y >> 1) * (width / 2) + (x >> 1)) * 4 + (y & 1) * 2 + (x & 1);
    result.set(values.subarray(id * size, (id + 1) * size), place * size);
  }
  return result;
}

/** [rows, sequence, dModel]: image places hold dModelGen numbers, then zeros. */
async function assembled(tensor: string, reference: ReferenceModel, group: ObservedGroup, forward: Forward) {
  const { dModel: d, dModelGen, maskTokenId } = reference.config;
  const { image, first, text } = forward;
  const rows = group.rows.length;
  const cells = image.reduce((sum, value) => sum + value, 0);
  const tokens = image.length - cells;
  const input = tensor === "input";
  const gen = group.outputs.get(input ? "gen_tokens" : `${tensor}.gen`) ?? new Float32Array();
  let words = group.outputs.get(`${tensor}.text`) ?? new Float32Array();
  if (input) {
    const cond = text.filter((_, place) => image[place] !== 1);
    const uncond = cond.slice().fill(maskTokenId, 0, forward.masked);
    const looked = await new TextEmbedding(reference.config, reference.weights).lookUp([uncond, cond]);
    words = looked.data as Float32Array;
  }
  const result = new Float32Array(rows * image.length * d);
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < image.length; place++) {
      const at = (row * image.length + place) * d;
      if (image[place] === 1) {
        const from = ((input ? 0 : row * cells) + place - first) * dModelGen;
        result.set(gen.subarray(from, from + dModelGen), at);
      } else {
        const from = (row * tokens + (place < first ? place : place - cells)) * d;
        result.set(words.subarray(from, from + d), at);
      }
    }
  }
  return result;
}
