/** MLPs whose hidden units are made to write alike for int4: the same function, with less rounded to nothing. */
import { expect, test } from "vitest";
import { philoxDraws } from "../../../core/diffusion/draws.ts";
import { evenedUnits } from "../../../core/model/convert/evened_units.ts";
import type { TensorSource } from "../../../core/model/weights.ts";
import { BLOCK, toInt4 } from "../../../kernels/onnx/quantize.ts";

const [WIDTH, UNITS, LOUD] = [64, 96, 12];
const name = (part: string) => `model.transformer.blocks.2.${part}.weight`;

function random(size: number, seed: number): Float32Array {
  const draws = philoxDraws(seed), block = new Float64Array(4);
  return Float32Array.from({ length: size }, (_, i) => {
    draws.block(0, 0, i, 0, block);
    return (block[0] ?? 0) + (block[1] ?? 0) - 1;
  });
}

/** `suffix` "_vision": that branch's MLP. Every eighth unit writes a hundred times as much. */
function mlp(suffix: string): { source: TensorSource; tensors: Map<string, Float32Array> } {
  const down = random(WIDTH * UNITS, 3).map((value, i) => i % UNITS % (UNITS / LOUD) === 0 ? 100 * value : value);
  const tensors = new Map([
    [name(`ff_proj${suffix}`), random(UNITS * WIDTH, 1)],
    [name(`up_proj${suffix}`), random(UNITS * WIDTH, 2)],
    [name(`ff_out${suffix}`), down],
    [name(`q_proj${suffix}`), random(WIDTH * WIDTH, 4)],
    ["model.transformer.ff_out.weight", random(WIDTH * UNITS, 5)], // the LM head is no MLP
  ]);
  const read = (tensor: string) => Promise.resolve(tensors.get(tensor) ?? new Float32Array());
  const dims = (tensor: string) => {
    const wide = tensor.includes("ff_out");
    const rows = tensor.includes("q_proj") || wide ? WIDTH : UNITS;
    return tensors.has(tensor) ? [rows, wide ? UNITS : WIDTH] : undefined;
  };
  const readRows = async (tensor: string, first: number, count: number) => {
    const width = dims(tensor)?.[1] ?? 0;
    return (await read(tensor)).subarray(first * width, (first + count) * width);
  };
  return { source: { dims, read, readRows }, tensors };
}

const dot = (matrix: Float32Array, row: number, vector: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += (matrix[row * vector.length + i] ?? 0) * (vector[i] ?? 0);
  return sum;
};

/** In float64. */
async function forward(source: TensorSource, suffix: string, x: Float32Array): Promise<number[]> {
  const [gate, up, down] = await Promise.all(
    ["ff_proj", "up_proj", "ff_out"].map((part) => source.read(name(part + suffix))),
  );
  if (!gate || !up || !down) throw new Error("a weight is missing");
  const hidden = Float64Array.from({ length: UNITS }, (_, unit) => {
    const g = dot(gate, unit, x);
    return g / (1 + Math.exp(-g)) * dot(up, unit, x);
  });
  return Array.from({ length: WIDTH }, (_, row) => dot(down, row, hidden));
}

/** Share of the weights that int4 stores as 0, of those of quiet units. */
function zeros(values: Float32Array): number {
  const { packed } = toInt4(values, WIDTH, UNITS);
  let [quiet, lost] = [0, 0];
  values.forEach((_, i) => {
    if (i % UNITS % (UNITS / LOUD) === 0) return;
    quiet++;
    const byte = packed[i >> 1] ?? 0;
    if (((i & 1) === 0 ? byte & 15 : byte >> 4) === 8) lost++;
  });
  return lost / quiet;
}

test.each(["", "_vision"])(
  "an MLP%s computes the same, and its quiet units keep their weights in int4",
  async (suffix) => {
    expect(UNITS % BLOCK).toBe(0);
    const { source, tensors } = mlp(suffix), evened = evenedUnits(source);
    const x = random(WIDTH, 9);
    const [before, after] = [await forward(source, suffix, x), await forward(evened, suffix, x)];
    const most = Math.max(...before.map(Math.abs)); // fp32 weights hold what they are multiplied by to 24 bits
    before.forEach((value, i) => expect(Math.abs((after[i] ?? 0) - value)).toBeLessThan(1e-6 * most));
    const down = name(`ff_out${suffix}`);
    expect(await evened.read(down)).not.toEqual(tensors.get(down));
    expect(zeros(await source.read(down))).toBeGreaterThan(0.9);
    expect(zeros(await evened.read(down))).toBeLessThan(0.2);
    for (const part of ["ff_proj", "up_proj", "ff_out"].map((kind) => name(kind + suffix))) {
      const width = evened.dims(part)?.[1] ?? 0;
      expect(await evened.readRows(part, 5, 3)).toEqual((await evened.read(part)).subarray(5 * width, 8 * width));
    }
  },
);

test("nothing else moves", async () => {
  const { source, tensors } = mlp(""), evened = evenedUnits(source);
  for (const other of [name("q_proj"), "model.transformer.ff_out.weight"]) {
    expect(await evened.read(other)).toEqual(tensors.get(other));
    expect(evened.dims(other)).toEqual(source.dims(other));
  }
  expect(evened.dims("model.none")).toBeUndefined();
});
