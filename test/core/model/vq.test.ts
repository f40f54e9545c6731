/** The VQ tokenizer against the reference numbers, and its mid-block attention against plain arithmetic. */
import { beforeAll, expect, test } from "vitest";
import { createModel } from "../../../core/model/model.ts";
import { vqDecodeGraph } from "../../../core/model/graphs/vq_decode.ts";
import { vqEncodeGraph } from "../../../core/model/graphs/vq_encode.ts";
import { toPlanes } from "../../../core/model/pixels.ts";
import type { Safetensors } from "../../../core/model/safetensors.ts";
import type { Model, Picture, Tokenizer } from "../../../core/model/types.ts";
import type { TensorSource } from "../../../core/model/weights.ts";
import { nodeEngine } from "./node_engine.ts";
import { openTensors, parityConfig, parityWeights, readJson, relativeError } from "./parity.ts";

const TOLERANCE = 1e-4;

interface Case {
  readonly width?: number;
  readonly height?: number;
  readonly k?: number;
  readonly grid: readonly [number, number];
}

const cases = Object.entries(readJson("vq.json")["cases"] as Record<string, Case>);
const encoded = cases.filter(([, { width }]) => width !== undefined);
const config = parityConfig();
const engine = nodeEngine();
let reference: Safetensors;
let weights: TensorSource;
let model: Model;

/** The pictures of the parity README. */
function formulaPicture({ width = 0, height = 0, k = 0 }: Case): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[i++] = Math.floor(255 * x / Math.max(width - 1, 1));
      data[i++] = Math.floor(255 * y / Math.max(height - 1, 1));
      data[i++] = (((x >> 3) ^ (y >> 3)) * (37 + 2 * k) + ((x * y) >> 6)) % 256;
    }
  }
  return { width, height, data };
}

beforeAll(async () => {
  reference = await openTensors("vq.safetensors");
  weights = await parityWeights();
  model = await createModel({ config, weights, tokenizer: {} as Tokenizer, engine });
});

test.each(encoded)("encode %s: every id", async (name, each) => {
  const ids = await model.encode(formulaPicture(each));
  expect(Array.from(ids)).toEqual(Array.from(await reference.readInteger(`${name}/ids`), Number));
});

test.each(cases)("decode %s: every pixel within 1", async (name, { grid: [, width] }) => {
  const ids = Uint16Array.from(await reference.readInteger(`${name}/ids`), Number);
  const picture = await model.decode(ids, width);
  const expected = Array.from(await reference.readInteger(`${name}/pixels`), Number);
  expect(picture.data.length).toBe(expected.length);
  const largest = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (picture.data[i] ?? NaN))), 0);
  expect(largest).toBeLessThanOrEqual(1);
});

test.each(cases)("decode %s before clipping", async (name, { grid: [height, width] }) => {
  const session = await engine.load(await vqDecodeGraph(config.vq, weights));
  const data = Int32Array.from(await reference.readInteger(`${name}/ids`), Number);
  const { picture } = await session.run({ ids: { dtype: "int32", dims: [1, height, width], data } }, ["picture"]);
  if (picture === undefined || !("data" in picture)) throw new Error("no picture");
  expect(relativeError(picture.data as Float32Array, await reference.readFloat(`${name}/decoded`))).toBeLessThan(
    TOLERANCE,
  );
  await session.release();
});

test("encoder intermediates through observe", async () => {
  const observe = ["encoder.down0", "encoder.down4", "encoder.mid", "latents"];
  const session = await engine.load(await vqEncodeGraph(config.vq, weights, observe));
  const [name, each] = encoded[0] ?? ["", { grid: [0, 0] }];
  const outputs = await session.run({ picture: toPlanes(formulaPicture(each)) }, observe);
  for (const tensor of observe) {
    const output = outputs[tensor];
    if (output === undefined || !("data" in output)) throw new Error(`no ${tensor}`);
    const expected = await reference.readFloat(`${name}/${tensor}`);
    expect(relativeError(output.data as Float32Array, expected), tensor).toBeLessThan(TOLERANCE);
  }
  await session.release();
});

test("a conversion finds the nearest of the codes as it stores them, fp16, by fp32 distances", async () => {
  // Codes about as close to each other as numbers in fp16: unrounded ones give other ids.
  const table = "model.vqvae.quantize.embedding.weight";
  const moved: TensorSource = {
    ...weights,
    format: () => "float16",
    read: async (name) =>
      name === table ? (await weights.read(name)).map((value) => value / 1000 + 0.25) : weights.read(name),
  };
  const d = config.vq.embeddingDimension;
  const codes = (await moved.read(table)).map(Math.f16round);
  const session = await engine.load(await vqEncodeGraph(config.vq, moved, ["latents"]));
  const { ids, latents } = await session.run(
    { picture: toPlanes(formulaPicture(encoded[0]?.[1] ?? { grid: [0, 0] })) },
    [
      "ids",
      "latents",
    ],
  );
  if (ids === undefined || latents === undefined || !("data" in ids) || !("data" in latents)) throw new Error();
  const [z, found] = [latents.data as Float32Array, ids.data as BigInt64Array];
  for (const [place, id] of found.entries()) {
    const distance = (code: number) => {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += ((z[i * found.length + place] ?? NaN) - (codes[code * d + i] ?? NaN)) ** 2;
      return sum;
    };
    let least = Infinity;
    for (let code = 0; code < config.vq.codes; code++) least = Math.min(least, distance(code));
    // Products and norms are below 1, and right to a few units of fp32's last place.
    expect(distance(Number(id))).toBeLessThan(least + 2e-6);
  }
  await session.release();
});

test("a picture whose sides are no multiples of the factor is refused", async () => {
  await expect(model.encode({ width: 40, height: 32, data: new Uint8Array(40 * 32 * 3) })).rejects.toMatchObject({
    code: "picture_size",
  });
});
