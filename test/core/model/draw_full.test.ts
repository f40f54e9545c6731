/** The published checkpoint's regime against the reference numbers: one image forward, both guidance rows. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Session } from "../../../core/engine/types.ts";
import { drawGraph } from "../../../core/model/graphs/draw.ts";
import { foldTables } from "../../../core/model/folded_tables.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Safetensors } from "../../../core/model/safetensors.ts";
import type { Model, Tokenizer } from "../../../core/model/types.ts";
import { cornerRows } from "../../../core/model/cells.ts";
import { TextEmbedding } from "../../../core/model/embedding.ts";
import { positionRows } from "../../../core/model/prompt_cache.ts";
import { nodeEngine } from "./node_engine.ts";
import { openTensors, parityConfig, parityWeights, readJson, relativeError } from "./parity.ts";

const TOLERANCE = 1e-4;
const GUIDED_TOLERANCE = 5e-4;

interface Case {
  readonly grid: [number, number];
  readonly guidance: number;
  readonly uncond_masked_prefix: number;
}

const cases = readJson("t2i_forward.json")["cases"] as Record<string, Case>;
const config = parityConfig();
const engine = nodeEngine();
let reference: Safetensors;
let model: Model;

/** Rows [uncond, cond] of what stands before the image, and what follows it. */
async function promptOf(name: string) {
  const text = Int32Array.from(await reference.readInteger(`${name}/text_ids`), Number);
  const image = Array.from(await reference.readInteger(`${name}/is_image`), Number);
  const first = image.indexOf(1);
  const cond = text.slice(0, first);
  const uncond = cond.slice().fill(config.maskTokenId, 0, cases[name]?.uncond_masked_prefix);
  return { rows: [uncond, cond], suffix: text.slice(image.lastIndexOf(1) + 1), first, image };
}

async function vqIds(name: string): Promise<Uint16Array> {
  return Uint16Array.from(await reference.readInteger(`${name}/vq_ids`), Number);
}

beforeAll(async () => {
  reference = await openTensors("t2i_forward.safetensors");
  const tokenizer = {} as Tokenizer; // ids are given
  model = await createModel({ config, weights: await parityWeights(), tokenizer, engine });
});

/** Entries of the reference: the columns that it keeps, the largest values, their logarithm of the sum. */
function pinned(logits: Float32Array, positions: number, topIds: ArrayLike<number>, stride: number) {
  const codes = config.vqCodes;
  const row = (position: number) => logits.subarray(position * codes, (position + 1) * codes);
  return {
    columns: Float32Array.from(
      { length: positions * codes / stride },
      (_, i) => logits[i * stride] ?? NaN,
    ),
    top: Float32Array.from(
      { length: topIds.length },
      (_, i) => row(Math.floor(i / (topIds.length / positions)))[topIds[i] ?? -1] ?? NaN,
    ),
    logsumexp: Float32Array.from({ length: positions }, (_, position) => {
      const largest = row(position).reduce((a, b) => Math.max(a, b));
      return largest + Math.log(row(position).reduce((sum, value) => sum + Math.exp(value - largest), 0));
    }),
  };
}

describe.each(Object.keys(cases))("%s on the production graph", (name) => {
  test("logits of both rows and guided", async () => {
    const { grid: [height, width], guidance } = cases[name] as Case;
    const { rows, suffix } = await promptOf(name);
    const cache = await model.prompt(rows, suffix);
    const positions = Uint32Array.from({ length: height * width }, (_, i) => i);
    const [uncond, cond] = await model.draw(cache, await vqIds(name), positions, width) as [Float32Array, Float32Array];
    const guided = cond.map((value, i) => (1 + guidance) * value - guidance * (uncond[i] ?? NaN));
    for (const [kind, logits] of Object.entries({ logits_uncond: uncond, logits_cond: cond, guided })) {
      const topIds = Array.from(await reference.readInteger(`${name}/${kind}.top_ids`), Number);
      const actual = pinned(logits, positions.length, topIds, 64);
      const limit = kind === "guided" ? GUIDED_TOLERANCE : TOLERANCE;
      for (const [key, tensor] of Object.entries({ columns: "columns", top: "top_values", logsumexp: "logsumexp" })) {
        const expected = await reference.readFloat(`${name}/${kind}.${tensor}`);
        const error = relativeError(actual[key as keyof typeof actual], expected);
        expect(error, `${kind}.${tensor}`).toBeLessThan(limit);
      }
    }
    cache.release();
  });

  test("logits at a few positions, in any order, are those of all positions", async () => {
    const { grid: [, width] } = cases[name] as Case;
    const { rows, suffix } = await promptOf(name);
    const ids = await vqIds(name);
    const cache = await model.prompt(rows, suffix);
    const all = Uint32Array.from(ids, (_, i) => i);
    const some = Uint32Array.of(ids.length - 1, 3, 2, width + 3, 9);
    const whole = await model.draw(cache, ids, all, width);
    const few = await model.draw(cache, ids, some, width);
    for (const [row, logits] of few.entries()) {
      const expected = Float32Array.from(
        logits,
        (_, i) =>
          whole[row]?.[(some[Math.floor(i / config.vqCodes)] ?? 0) * config.vqCodes + i % config.vqCodes] ?? NaN,
      );
      expect(relativeError(logits, expected)).toBeLessThan(2e-6);
    }
  });
});

describe("intermediates of g8x8 through observe", () => {
  const name = "g8x8";
  const blocks = Array.from({ length: config.layers }, (_, i) => `block${i}`);
  const observe = [
    "gen_embedding",
    "downsample",
    "gen_tokens",
    "upsample",
    "gen_predictor_2",
    ...[...blocks, "ln_f"].flatMap((block) => [`${block}.gen`, `${block}.text`]),
  ];
  let session: Session;
  let outputs: Record<string, Float32Array>;

  beforeAll(async () => {
    const weights = await parityWeights();
    const tables = await foldTables(config, weights, engine);
    session = await engine.load(await drawGraph(config, weights, { attention: "full", tables, observe }));
    const { rows, suffix, first } = await promptOf(name);
    const ids = await vqIds(name);
    const cells = ids.length / 4;
    const text = rows.map((row) => Int32Array.of(...row, ...suffix));
    const all = Int32Array.from({ length: cells }, (_, i) => i);
    const result = await session.run({
      corner_rows: cornerRows(ids, { width: 8, height: 8 }, config.vqMaskId + 1),
      once_positions: positionRows(1, cells, (i) => first + i),
      positions: positionRows(2, cells, (i) => first + i),
      row_ones: { dtype: "float32", dims: [2, 1, 1], data: Float32Array.of(1, 1) },
      cells: { dtype: "int32", dims: [cells], data: all },
      cell_positions: positionRows(2, cells, (i) => first + i),
      picks: {
        dtype: "int32",
        dims: [ids.length],
        data: Int32Array.from(ids, (_, i) => (((i >> 4) * 4) + ((i & 7) >> 1)) * 4 + ((i >> 3) & 1) * 2 + (i & 1)),
      },
      embeddings: await new TextEmbedding(config, weights).lookUp(text),
      text_positions: positionRows(2, text[0]?.length ?? 0, (i) => i < first ? i : i + cells),
    }, [...observe, "logits"]);
    outputs = Object.fromEntries(
      Object.entries(result).map((
        [key, value],
      ) => [key, "data" in value ? value.data as Float32Array : new Float32Array()]),
    );
  });

  /** [2, sequence, dModel] as the reference has it: image positions hold dModelGen numbers, then zeros. */
  async function assembled(block: string): Promise<{ actual: Float32Array; expected: Float32Array }> {
    const { image, first } = await promptOf(name);
    const expected = await reference.readFloat(`${name}/${block}`);
    const d = config.dModel;
    const actual = new Float32Array(expected.length);
    const cells = image.reduce((sum, value) => sum + value, 0);
    const tokens = image.length - cells;
    for (let row = 0; row < 2; row++) {
      for (let place = 0; place < image.length; place++) {
        const at = (row * image.length + place) * d;
        if (image[place] === 1) {
          const from = (row * cells + place - first) * config.dModelGen;
          actual.set(outputs[`${block}.gen`]?.subarray(from, from + config.dModelGen) ?? [], at);
        } else {
          const from = (row * tokens + (place < first ? place : place - cells)) * d;
          actual.set(outputs[`${block}.text`]?.subarray(from, from + d) ?? [], at);
        }
      }
    }
    return { actual, expected };
  }

  test.each([...blocks, "ln_f"])("%s", async (block) => {
    const { actual, expected } = await assembled(block);
    expect(relativeError(actual, expected)).toBeLessThan(TOLERANCE);
  });

  test("gen_embedding", async () => {
    // Observed cell by cell, stored row by row.
    const observed = outputs["gen_embedding"] ?? new Float32Array();
    const d = config.dModelGen;
    const actual = new Float32Array(observed.length);
    for (let place = 0; place < 64; place++) {
      const id = (((place >> 4) * 4) + ((place & 7) >> 1)) * 4 + ((place >> 3) & 1) * 2 + (place & 1);
      actual.set(observed.subarray(id * d, (id + 1) * d), place * d);
    }
    expect(relativeError(actual, await reference.readFloat(`${name}/gen_embedding`))).toBeLessThan(TOLERANCE);
  });

  test.each(["downsample", "gen_tokens", "upsample", "gen_predictor_2"])("%s", async (tensor) => {
    const expected = await reference.readFloat(`${name}/${tensor}`);
    expect(relativeError(outputs[tensor] ?? [], expected)).toBeLessThan(TOLERANCE);
  });
});
