/** Mid-block attention of the VQ tokenizer (in diffusers' default, not in the parity model) against plain arithmetic. */
import { expect, test } from "vitest";
import { GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { VqLayers } from "../../../core/model/graphs/vq_blocks.ts";
import type { TensorSource } from "../../../core/model/weights.ts";
import { nodeEngine } from "./node_engine.ts";
import { parityConfig, relativeError } from "./parity.ts";

const C = 8;
const GROUPS = 4;
const name = "model.vqvae.encoder.mid_block.attentions.0.";
const shapes: Record<string, number[]> = { "group_norm.weight": [C], "group_norm.bias": [C] };
for (const projection of ["to_q", "to_k", "to_v", "to_out.0"]) {
  shapes[`${projection}.weight`] = [C, C];
  shapes[`${projection}.bias`] = [C];
}
const values = new Map<string, Float32Array>();
for (const [i, [key, dims]] of Object.entries(shapes).entries()) {
  values.set(key, Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, j) => Math.sin(j * 1.3 + i * 5)));
}
/** Resnets whose convolutions are zero hand their input on, so that only the attention is left. */
const zeros = (dims: readonly number[]) => new Float32Array(dims.reduce((a, b) => a * b, 1));
function dims(key: string): number[] | undefined {
  if (key.startsWith(name)) return shapes[key.slice(name.length)];
  if (key.includes("shortcut")) return undefined;
  return key.includes("conv") && key.endsWith("weight") ? [C, C, 3, 3] : [C];
}
const source: TensorSource = {
  dims,
  read: (key) => Promise.resolve(values.get(key.slice(name.length)) ?? zeros(dims(key) ?? [])),
  readRows: () => Promise.reject(new Error("not read by rows")),
};

function reference(x: Float32Array, pixels: number): number[] {
  const w = (key: string) => values.get(key) ?? new Float32Array();
  const normed = Array.from(x, (value, i) => {
    const channel = Math.floor(i / pixels);
    const from = Math.floor(channel / (C / GROUPS)) * (C / GROUPS) * pixels;
    const group = Array.from(x.subarray(from, from + C / GROUPS * pixels));
    const mean = group.reduce((a, b) => a + b, 0) / group.length;
    const variance = group.reduce((a, b) => a + (b - mean) ** 2, 0) / group.length;
    const scaled = (value - mean) / Math.sqrt(variance + 1e-6);
    return scaled * (w("group_norm.weight")[channel] ?? NaN) + (w("group_norm.bias")[channel] ?? NaN);
  });
  const linear = (key: string, rows: number[][]) =>
    rows.map((row) =>
      Array.from(
        { length: C },
        (_, o) =>
          row.reduce((sum, v, i) => sum + v * (w(`${key}.weight`)[o * C + i] ?? NaN), w(`${key}.bias`)[o] ?? NaN),
      )
    );
  const tokens = Array.from(
    { length: pixels },
    (_, p) => Array.from({ length: C }, (_, c) => normed[c * pixels + p] ?? NaN),
  );
  const [q, k, v] = [linear("to_q", tokens), linear("to_k", tokens), linear("to_v", tokens)];
  const mixed = q.map((query) => {
    const scores = k.map((key) =>
      Math.exp(key.reduce((sum, value, i) => sum + value * (query[i] ?? NaN), 0) / Math.sqrt(C))
    );
    const total = scores.reduce((a, b) => a + b, 0);
    return Array.from(
      { length: C },
      (_, c) => v.reduce((sum, row, j) => sum + (scores[j] ?? NaN) / total * (row[c] ?? NaN), 0),
    );
  });
  const out = linear("to_out.0", mixed);
  return Array.from(x, (value, i) => value + (out[i % pixels]?.[Math.floor(i / pixels)] ?? NaN));
}

test("one head over all pixels, with group norm and residual", async () => {
  const engine = nodeEngine();
  const g = new GraphBuilder("middle");
  const x = g.input("x", "float32", [1, C, 2, 3]);
  const layers = new VqLayers(g, { ...parityConfig().vq, groups: GROUPS, midBlockAttention: true }, source);
  g.output("y", layers.middle(x, "encoder.mid_block"), "float32", [1, C, 2, 3]);
  const session = await engine.load(await g.build());
  const data = Float32Array.from({ length: C * 6 }, (_, i) => Math.cos(i * 2.1));
  const { y } = await session.run({
    x: { dtype: "float32", dims: [1, C, 2, 3], data },
    latent_shape: { dtype: "int64", dims: [4], data: BigInt64Array.of(1n, BigInt(C), 2n, 3n) },
  }, ["y"]);
  if (y === undefined || !("data" in y)) throw new Error("no y");
  expect(relativeError(y.data as Float32Array, reference(data, 6))).toBeLessThan(1e-5);
});
