/** The builder's files as ONNX Runtime reads them, and its refusals. */
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { type BuildOptions, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import {
  attention,
  gatedMlp,
  linear,
  type Parameter,
  rmsNorm,
  rotaryTables,
  rotate,
  transposeMatrix,
} from "../../../kernels/onnx/layers.ts";
import { groupNorm, upsampleNearest } from "../../../kernels/onnx/convolution.ts";
import { repeatRows } from "../../../kernels/onnx/ops.ts";
import { MessageWriter } from "../../../kernels/onnx/protobuf.ts";

/** Smooth numbers that repeat nowhere. */
function numbers(length: number, phase: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7 + phase) * 2);
}

function given(name: string, dims: readonly number[], phase: number): Parameter & { readonly data: Float32Array } {
  const data = numbers(dims.reduce((a, b) => a * b, 1), phase);
  return { name, dims, data, load: () => Promise.resolve(data) };
}

async function run(
  g: GraphBuilder,
  feeds: Record<string, ort.Tensor>,
  output = "y",
): Promise<{ readonly data: Float32Array; readonly dims: readonly number[] }> {
  const session = await ort.InferenceSession.create((await g.build()).model);
  const tensor = (await session.run(feeds))[output];
  if (tensor === undefined || !(tensor.data instanceof Float32Array)) throw new Error(`no ${output}`);
  return { data: tensor.data, dims: tensor.dims };
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], digits = 5): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, digits);
}

const fp32 = (data: Float32Array, dims: readonly number[]) => new ort.Tensor("float32", data, dims);

test("varints of protobuf's own documentation, and a negative number in ten bytes", () => {
  expect([...new MessageWriter().integer(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
  expect([...new MessageWriter().integer(1, -1).finish()]).toEqual([8, ...Array(9).fill(255), 1]);
  expect([...new MessageWriter().string(2, "testing").finish()]).toEqual([18, 7, 116, 101, 115, 116, 105, 110, 103]);
});

describe("layers against plain arithmetic", () => {
  test("linear takes PyTorch's [out, in]", async () => {
    const w = given("w", [3, 2], 1);
    const g = new GraphBuilder("g");
    g.output("y", linear(g, g.input("x", "float32", ["n", 2]), w), "float32", ["n", 3]);
    const x = numbers(8, 2);
    const { data, dims } = await run(g, { x: fp32(x, [4, 2]) });
    expect(dims).toEqual([4, 3]);
    expectClose(
      data,
      Array.from({ length: 12 }, (_, i) => {
        const [n, o] = [Math.floor(i / 3), i % 3];
        return (x[n * 2] ?? NaN) * (w.data[o * 2] ?? NaN) + (x[n * 2 + 1] ?? NaN) * (w.data[o * 2 + 1] ?? NaN);
      }),
    );
  });

  test("rmsNorm with an epsilon that matters", async () => {
    const w = given("w", [4], 1);
    const g = new GraphBuilder("g");
    g.output("y", rmsNorm(g, g.input("x", "float32", [1, 4]), w, 0.5), "float32", [1, 4]);
    const x = numbers(4, 3);
    const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / 4 + 0.5);
    expectClose(
      (await run(g, { x: fp32(x, [1, 4]) })).data,
      Array.from(x, (value, i) => value / root * (w.data[i] ?? NaN)),
    );
  });

  test("gatedMlp is down(silu(gate) * up)", async () => {
    const one = (name: string, value: number): Parameter => ({
      name,
      dims: [1, 1],
      load: () => Promise.resolve(Float32Array.of(value)),
    });
    const g = new GraphBuilder("g");
    const weights = { gate: one("gate", 2), up: one("up", 3), down: one("down", 5) };
    g.output("y", gatedMlp(g, g.input("x", "float32", [1, 1]), weights), "float32", [1, 1]);
    expectClose((await run(g, { x: fp32(Float32Array.of(0.7), [1, 1]) })).data, [1.4 / (1 + Math.exp(-1.4)) * 2.1 * 5]);
  });

  test("rotate pairs component i with i + head / 2, at the positions given", async () => {
    const g = new GraphBuilder("g");
    const tables = rotaryTables(g, { positions: 10, headSize: 4, theta: 100 });
    const x = g.input("x", "float32", [1, 2, 8]);
    g.output("y", rotate(g, x, g.input("p", "int64", [1, 2]), tables), "float32", [1, 2, 8]);
    const values = numbers(16, 1);
    const positions = [7, 3];
    const { data } = await run(g, {
      x: fp32(values, [1, 2, 8]),
      p: new ort.Tensor("int64", BigInt64Array.from(positions, BigInt), [1, 2]),
    });
    expectClose(
      data,
      Array.from(values, (value, i) => {
        const within = i % 4;
        const angle = (positions[Math.floor(i / 8)] ?? NaN) * 100 ** (-(within % 2) / 2);
        const partner = within < 2 ? -(values[i + 2] ?? NaN) : values[i - 2] ?? NaN;
        return value * Math.cos(angle) + partner * Math.sin(angle);
      }),
    );
  });

  test("attention is scaled, unmasked and by head", async () => {
    const g = new GraphBuilder("g");
    const [q, k, v] = ["q", "k", "v"].map((name) => g.input(name, "float32", [1, name === "q" ? 2 : 3, 4]));
    if (q === undefined || k === undefined || v === undefined) throw new Error();
    g.output("y", attention(g, q, k, v, 2), "float32", [1, 2, 4]);
    const data = { q: numbers(8, 1), k: numbers(12, 2), v: numbers(12, 3) };
    const actual = await run(g, { q: fp32(data.q, [1, 2, 4]), k: fp32(data.k, [1, 3, 4]), v: fp32(data.v, [1, 3, 4]) });
    const expected = Array.from({ length: 8 }, (_, i) => {
      const [token, component] = [Math.floor(i / 4), i % 4];
      const head = component < 2 ? 0 : 2;
      const weights = [0, 1, 2].map((j) =>
        Math.exp(
          [0, 1].reduce(
            (sum, c) => sum + (data.q[token * 4 + head + c] ?? NaN) * (data.k[j * 4 + head + c] ?? NaN),
            0,
          ) /
            Math.SQRT2,
        )
      );
      const total = weights.reduce((a, b) => a + b, 0);
      return weights.reduce((sum, weight, j) => sum + weight / total * (data.v[j * 4 + component] ?? NaN), 0);
    });
    expectClose(actual.data, expected);
  });

  test("groupNorm", async () => {
    const [w, b] = [given("w", [4], 1), given("b", [4], 2)];
    const g = new GraphBuilder("g");
    const x = g.input("x", "float32", [1, 4, 1, 2]);
    g.output("y", groupNorm(g, x, w, b, { groups: 2, epsilon: 0.25 }), "float32", [1, 4, 1, 2]);
    const values = numbers(8, 5);
    const { data } = await run(g, { x: fp32(values, [1, 4, 1, 2]) });
    expectClose(
      data,
      Array.from(values, (value, i) => {
        const group = Array.from(values.subarray(i < 4 ? 0 : 4, i < 4 ? 4 : 8));
        const mean = group.reduce((a, c) => a + c, 0) / 4;
        const variance = group.reduce((a, c) => a + (c - mean) ** 2, 0) / 4;
        const channel = Math.floor(i / 2);
        return (value - mean) / Math.sqrt(variance + 0.25) * (w.data[channel] ?? NaN) + (b.data[channel] ?? NaN);
      }),
    );
  });

  test("groupNorm over half a million numbers, most of them equal, as in a picture with a plain ground", async () => {
    const shape = [1, 8, 256, 256];
    const [w, b] = [given("w", [8], 1), given("b", [8], 2)];
    const g = new GraphBuilder("g");
    g.output("y", groupNorm(g, g.input("x", "float32", shape), w, b, { groups: 1, epsilon: 1e-6 }), "float32", shape);
    const values = Float32Array.from({ length: 2 ** 19 }, (_, i) => 3.3 + (i % 256 < 200 ? 0 : Math.sin(i * 0.7)));
    const { data } = await run(g, { x: fp32(values, shape) });
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    const expected = values.map((value, i) => {
      const channel = Math.floor(i / 2 ** 16);
      return (value - mean) / deviation * (w.data[channel] ?? NaN) + (b.data[channel] ?? NaN);
    });
    const range = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - Number(data[i]))), 0);
    expect(error / range).toBeLessThan(1e-5);
  });

  test("upsampleNearest and repeatRows", async () => {
    const g = new GraphBuilder("g");
    const x = g.input("x", "float32", [1, 1, 1, 2]);
    g.output("y", upsampleNearest(g, x), "float32", [1, 1, 2, 4]);
    expectClose((await run(g, { x: fp32(Float32Array.of(1, 2), [1, 1, 1, 2]) })).data, [1, 1, 2, 2, 1, 1, 2, 2]);
    const h = new GraphBuilder("h");
    const row = h.input("x", "float32", [1, 1, 2]);
    h.output("y", repeatRows(h, row, h.input("ones", "float32", ["r", 1, 1])), "float32", ["r", 1, 2]);
    const ones = fp32(Float32Array.of(1, 1, 1), [3, 1, 1]);
    const repeated = await run(h, { x: fp32(Float32Array.of(1, 2), [1, 1, 2]), ones });
    expect(repeated.dims).toEqual([3, 1, 2]);
    expectClose(repeated.data, [1, 2, 1, 2, 1, 2]);
  });

  test("transposeMatrix beyond one tile", () => {
    const data = numbers(70 * 41, 0);
    const result = transposeMatrix(data, 70, 41);
    for (let r = 0; r < 70; r++) for (let c = 0; c < 41; c++) expect(result[c * 70 + r]).toBe(data[r * 41 + c]);
  });
});

/** y = x W1 W2, with weights large enough to leave the message. */
function twoLayers(): GraphBuilder {
  const g = new GraphBuilder("two");
  const x = g.input("x", "float32", [1, 32]);
  g.output("y", linear(g, linear(g, x, given("a", [32, 32], 1)), given("b", [32, 32], 2)), "float32", [1, 32]);
  return g;
}

describe("external data", () => {
  test("lies page-aligned in files of bounded size and holds what the message would have held", async () => {
    const options: BuildOptions = { inlineLimit: 0, fileLimit: 5000 };
    const inline = await twoLayers().build();
    const external = await twoLayers().build(options);
    expect(inline.externalData).toBeUndefined();
    expect(external.externalData?.map(({ path }) => path)).toEqual(["two.0.bin", "two.1.bin"]);
    expect(external.model.byteLength).toBeLessThan(1000);
    const a = transposeMatrix(given("a", [32, 32], 1).data, 32, 32);
    const first = external.externalData?.[0]?.data ?? new Uint8Array();
    expect(new Float32Array(first.buffer, 0, 1024)).toEqual(a);
  });

  test("ONNX Runtime reads it from files and computes the same", async () => {
    const folder = await Deno.makeTempDir();
    try {
      const external = await twoLayers().build({ inlineLimit: 0, fileLimit: 16_384 });
      await Deno.writeFile(`${folder}/two.onnx`, external.model);
      for (const { path, data } of external.externalData ?? []) await Deno.writeFile(`${folder}/${path}`, data);
      const x = fp32(numbers(32, 9), [1, 32]);
      const session = await ort.InferenceSession.create(`${folder}/two.onnx`);
      expect((await session.run({ x })).y?.data).toEqual((await run(twoLayers(), { x })).data);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});

describe("refusals", () => {
  test("an observed name that the graph does not offer", async () => {
    const g = new GraphBuilder("g", ["blok0"]);
    const x = g.observe("block0", g.input("x", "float32", [1]), [1]);
    g.output("y", x, "float32", [1]);
    await expect(g.build()).rejects.toThrow("g has no blok0; it offers block0");
  });

  test("a loader that gives too little", async () => {
    const g = new GraphBuilder("g");
    g.output("y", g.initializer("w", "float32", [4], () => new Float32Array(3)), "float32", [4]);
    await expect(g.build()).rejects.toThrow("initializer w [4] needs 16 bytes, its loader gave 12");
  });

  test("one name for two shapes, one output twice", () => {
    const g = new GraphBuilder("g");
    const w = g.initializer("w", "float32", [4], () => new Float32Array(4));
    expect(() => g.initializer("w", "float32", [2, 2], () => new Float32Array(4))).toThrow("cannot be [2,2] too");
    g.output("y", w, "float32", [4]);
    expect(() => g.output("y", w, "float32", [4])).toThrow("given twice");
  });
});
