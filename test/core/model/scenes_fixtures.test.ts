/**
 * Every graph of drawing, on the shipped weights and each provider, against PyTorch. Production graphs wherever they give
 * the number; `observe` only for the encoder's latents.
 */
import { copyFile, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, HostTensor, Provider } from "../../../core/engine/types.ts";
import { TextEmbedding } from "../../../core/model/embedding.ts";
import { type ModelFolder, openFolder } from "../../../core/model/folder.ts";
import { cacheNames, promptGraph } from "../../../core/model/graphs/prompt.ts";
import { latentShape } from "../../../core/model/graphs/vq_blocks.ts";
import { vqEncodeGraph } from "../../../core/model/graphs/vq_encode.ts";
import { foldTables } from "../../../core/model/folded_tables.ts";
import { openModel } from "../../../core/model/open_model.ts";
import { hostFloats } from "../../../core/model/outputs.ts";
import { toPlanes } from "../../../core/model/pixels.ts";
import { positionRows } from "../../../core/model/prompt_cache.ts";
import { drawPrompt } from "../../../core/model/prompts.ts";
import type { Model, Picture } from "../../../core/model/types.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { relativeError } from "./parity.ts";
import { fixtureProblem, openFixture, SCENES, weightFiles } from "./scenes_fixture.ts";

/** Of a tensor's largest value. */
const TOLERANCE = 1e-4;
/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 600_000;
const FIXTURE = new URL("../../fixtures/scenes.safetensors", import.meta.url);

const problem = await fixtureProblem();
const fixture = await openFixture();
afterAll(() => fixture.close());

describe("the fixture", () => {
  test("is of the shipped weights", () => expect(problem).toBeUndefined());

  test("is found out when it is of other weights, or does not say", async () => {
    const folder = await mkdtemp(join(tmpdir(), "unmask-"));
    const bytes = await readFile(FIXTURE);
    const at = bytes.indexOf("sha256 vqvae/");
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at); // another key: rha256
    await writeFile(join(folder, "silent"), bytes);
    expect(await fixtureProblem(join(folder, "silent"))).toMatch(/says nothing of vqvae.*fixtures\.py/);
    await Deno.mkdir(join(folder, "vqvae"));
    for (const name of await weightFiles()) await copyFile(join(SCENES, name), join(folder, name));
    await writeFile(join(folder, "vqvae/diffusion_pytorch_model.safetensors"), "others");
    expect(await fixtureProblem(undefined, folder)).toMatch(/is of another vqvae.*fixtures\.py/);
    await Deno.remove(folder, { recursive: true });
  });

  test("has cases of every kind", () => {
    for (const kind of ["draw", "decode", "encode"] as const) expect(fixture.cases(kind).length).toBeGreaterThan(1);
  });
});

/** Rows of a tensor, each of the length of its last dimension. */
function rowsOf(values: ArrayLike<number>, width: number): number[][] {
  return Array.from(
    { length: values.length / width },
    (_, i) => Array.from({ length: width }, (_, j) => values[i * width + j] ?? NaN),
  );
}

/**
 * `cases`: how many pictures are decoded and encoded. A software adapter takes 20 s of a core for one, so there it is one
 * picture, of the graph that observes.
 */
function graphs(provider: Provider, cases = Infinity): void {
  let engine: Engine;
  let folder: ModelFolder;
  let model: Model;
  let rows: Int32Array[];

  beforeAll(async () => {
    expect(problem).toBeUndefined();
    engine = await openEngine({ provider, threads: 1, allowSoftwareAdapter: true });
    folder = await openFolder(SCENES);
    model = await openModel({ folder: SCENES, engine });
    const [, tokens = 0] = fixture.dims("prompt/ids");
    rows = rowsOf(await fixture.integers("prompt/ids"), tokens).map((row) => Int32Array.from(row));
  });
  afterAll(async () => {
    await model?.close();
    await folder?.close();
    await engine?.close();
  });

  test("prompt: the caption's ids, then rotated keys and values of every joint layer", async () => {
    const { config } = folder;
    expect(drawPrompt({ prompt: fixture.caption, size: config.nativeResolution }, model.tokenizer).rows).toEqual(rows);
    const length = rows[0]?.length ?? 0;
    const session = await engine.load(await promptGraph(config, folder.weights));
    const layers = Array.from({ length: config.jointLayers }, (_, layer) => ({ layer, ...cacheNames(layer) }));
    const outputs = await session.run({
      embeddings: await new TextEmbedding(config, folder.weights).lookUp(rows),
      positions: positionRows(rows.length, length, (index) => index),
    }, layers.flatMap(({ keys, values }) => [keys, values]));
    for (const { layer, keys, values } of layers) {
      for (const [own, theirs] of [[keys, `prompt/key_${layer}`], [values, `prompt/value_${layer}`]] as const) {
        expect(fixture.dims(theirs)).toEqual([rows.length, config.heads, length, config.headSize]);
        const wanted = tokensFirst(await fixture.floats(theirs), config.heads, length, config.headSize);
        expect(relativeError(await hostFloats(outputs, own), wanted), theirs).toBeLessThan(TOLERANCE);
      }
    }
    await session.release();
  });

  test("fold: corner tables", async () => {
    const { dModelGen } = folder.config;
    const tables = await foldTables(folder.config, folder.weights, engine);
    const picked = await fixture.integers("fold/rows");
    expect(picked).toContain(folder.config.vqMaskId);
    const wanted = await fixture.floats("fold/corners"); // [corner, row, dModelGen]
    const found = [0, 1, 2, 3].flatMap((corner) =>
      picked.flatMap((id) =>
        Array.from(tables.subarray((id * 4 + corner) * dModelGen, (id * 4 + corner + 1) * dModelGen))
      )
    );
    expect(relativeError(found, wanted)).toBeLessThan(TOLERANCE);
  });

  test.each(fixture.cases("draw"))("%s: logits at the positions, for both rows", async (name) => {
    const ids = Uint16Array.from(await fixture.integers(`${name}/ids`));
    const positions = Uint32Array.from(await fixture.integers(`${name}/positions`));
    const wanted = await fixture.floats(`${name}/logits`);
    const cache = await model.prompt(rows);
    const logits = await model.draw(cache, ids, positions);
    cache.release();
    const size = wanted.length / 2;
    expect(fixture.dims(`${name}/logits`).slice(0, 2)).toEqual([2, positions.length]);
    expect(logits.length).toBe(2);
    for (const [row, values] of logits.entries()) {
      const theirs = wanted.subarray(row * size, (row + 1) * size);
      const error = relativeError(fixture.kept(values, folder.config.vqCodes), theirs);
      expect(error, `row ${row}`).toBeLessThan(TOLERANCE);
    }
  });

  test.each(fixture.cases("decode").slice(0, cases))("%s: every pixel within 1 of 255", async (name) => {
    const picture = await model.decode(Uint16Array.from(await fixture.integers(`${name}/ids`)));
    const [, height, width] = fixture.dims(`${name}/pixels`);
    expect(picture).toMatchObject({ width, height });
    const planes = await fixture.integers(`${name}/pixels`);
    const size = picture.width * picture.height;
    const largest = picture.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (planes[(i % 3) * size + Math.floor(i / 3)] ?? NaN))),
      0,
    );
    expect(largest).toBeLessThanOrEqual(1);
  }, SLOW);

  test.each(fixture.cases("encode").slice(0, cases))("%s: latents, and every id that they decide", async (name) => {
    const { vq } = folder.config;
    const [height = 0, width = 0] = fixture.dims(`${name}/picture`);
    const picture: Picture = { width, height, data: Uint8Array.from(await fixture.integers(`${name}/picture`)) };
    const session = await engine.load(await vqEncodeGraph(vq, folder.weights, ["latents"]));
    const shape = latentShape(vq, height / vq.factor, width / vq.factor);
    const outputs = await session.run({ picture: toPlanes(picture), ...shape }, ["latents", "ids"]);
    const latents = await hostFloats(outputs, "latents");
    const ids = Array.from((outputs["ids"] as HostTensor).data, Number);
    if (cases > 1) expect(Array.from(await model.encode(picture))).toEqual(ids);
    await session.release();
    const wanted = await fixture.floats(`${name}/latent`); // [height, width, channels]
    const places = wanted.length / vq.embeddingDimension;
    const found = wanted.map((_, i) =>
      latents[(i % vq.embeddingDimension) * places + Math.floor(i / vq.embeddingDimension)] ?? NaN
    );
    expect(relativeError(found, wanted)).toBeLessThan(TOLERANCE);

    const [theirs, gaps] = [await fixture.integers(`${name}/ids`), await fixture.floats(`${name}/gap`)];
    expect(ids.length).toBe(theirs.length);
    const codes = rowsOf(await folder.weights.read("model.vqvae.quantize.embedding.weight"), vq.embeddingDimension);
    const near = distanceError(found, wanted, codes);
    const decided = Array.from(gaps, (gap, place) => ({ place, gap })).filter(({ gap }) => gap > near);
    // Else the next line would say nothing.
    expect(decided.length, `gaps above ${near}`).toBeGreaterThanOrEqual(0.9 * theirs.length);
    expect(decided.filter(({ place }) => ids[place] !== theirs[place])).toEqual([]);
  }, SLOW);
}

/** [rows, heads, tokens, head] to [rows, tokens, heads * head]. */
function tokensFirst(values: Float32Array, heads: number, tokens: number, head: number): Float32Array {
  return values.map((_, i) => {
    const [h, d] = [Math.floor(i / head) % heads, i % head];
    const [row, token] = [Math.floor(i / (tokens * heads * head)), Math.floor(i / (heads * head)) % tokens];
    return values[((row * heads + h) * tokens + token) * head + d] ?? NaN;
  });
}

/**
 * How far rounding can move one squared distance against another: two latents that differ by d give
 * |z - a|^2 - |z - b|^2 that differ by at most 2 |d| |a - b|; and sums of `channels` products round by channels * 2^-24.
 */
function distanceError(found: Float32Array, wanted: Float32Array, codes: readonly number[][]): number {
  const channels = codes[0]?.length ?? 1;
  const norm = (values: readonly number[]) => Math.hypot(...values);
  const longest = Math.max(...codes.map(norm));
  const latents = rowsOf(wanted, channels);
  const moved = Math.max(...rowsOf(found.map((value, i) => value - (wanted[i] ?? NaN)), channels).map(norm));
  const rounding = channels * 2 ** -24 * (Math.max(...latents.map(norm)) + longest) ** 2;
  return 4 * moved * longest + 2 * rounding;
}

describe("cpu", () => graphs("cpu"));
describe("wasm", () => graphs("wasm"));
describeWebGpu("webgpu", () => graphs("webgpu", 1));
