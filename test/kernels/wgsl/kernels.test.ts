/** The small kernels, and the numbers that all of them share, against the code that runs on the CPU. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { gumbel } from "../../../core/diffusion/draws.ts";
import { philox, uniform } from "../../../core/diffusion/philox.ts";
import type { Gpu } from "../../../core/engine/gpu.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { cornerRows } from "../../../core/model/cells.ts";
import { cornerRowsOf } from "../../../core/model/resident_draw.ts";
import { MOST_CONFIDENT, SCATTER } from "../../../kernels/wgsl/canvas.ts";
import { groupsFor, kernel, packParams } from "../../../kernels/wgsl/kernel.ts";
import { LOGARITHM, RANDOM, SORTABLE } from "../../../kernels/wgsl/numbers.ts";
import { describeWebGpu } from "../../core/engine/adapter.ts";
import { PHILOX_VECTORS } from "../../core/diffusion/philox_vectors.ts";
import { openGpu, SLOW, upload } from "./device.ts";

/** A kernel that maps words to words: `body` sets `result` from `input`, a vec4<u32> each. */
function mapping(name: string, body: string) {
  return kernel(
    name,
    [["items", "u32"], ["key0", "u32"], ["key1", "u32"]],
    `
@group(0) @binding(1) var<storage, read> inputs: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> results: array<vec4<u32>>;
${SORTABLE}${LOGARITHM}${RANDOM}
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  if (invocation.x >= params.items) { return; }
  let input = inputs[invocation.x];
  var result = vec4<u32>(params.key0, params.key1, 0u, 0u);
  ${body}
  results[invocation.x] = result;
}
`,
  );
}

const PHILOX = mapping("philox_test", "result = philox(input, result.xy);");
const GUMBEL = mapping(
  "gumbel_test",
  "for (var i = 0u; i < 4u; i++) { result[i] = bitcast<u32>(gumbel_of(input[i])); }",
);
const SORTED = mapping(
  "sortable_test",
  "for (var i = 0u; i < 4u; i++) { result[i] = sortable(bitcast<f32>(input[i])); }",
);

describeWebGpu("wgsl", () => {
  let engine: Engine;
  let gpu: Gpu;
  beforeAll(async () => void ({ engine, gpu } = await openGpu()), SLOW);
  afterAll(() => engine?.close());

  async function map(code: ReturnType<typeof mapping>, input: Uint32Array, key0 = 0, key1 = 0): Promise<Uint32Array> {
    const tensors = [
      await upload(gpu, Int32Array.from(input)),
      await upload(gpu, new Int32Array(input.length)),
    ] as const;
    const items = input.length / 4;
    const dispatch = {
      kernel: code,
      params: packParams(code, { items, key0, key1 }),
      storage: tensors,
      groups: groupsFor(items),
    };
    const result = await gpu.run({ dispatches: [dispatch], read: { tensor: tensors[1], words: input.length } });
    for (const tensor of tensors) tensor.release();
    return result;
  }

  test.each(PHILOX_VECTORS)("Philox4x32-10 of %j under %j", async (counter, [key0, key1], expected) => {
    expect([...await map(PHILOX, Uint32Array.from(counter), key0, key1)]).toEqual(expected);
  }, SLOW);

  test("Philox equals the CPU's on 1001 counters", async () => {
    const counters = Uint32Array.from({ length: 4004 }, (_, i) => Math.imul(i + 1, 0x9e3779b9));
    const found = await map(PHILOX, counters, 0xdeadbeef, 0x12345678);
    const [want, block] = [new Uint32Array(4004), new Uint32Array(4)];
    for (let i = 0; i < 4004; i += 4) {
      const [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = counters.subarray(i, i + 4);
      philox(c0, c1, c2, c3, 0xdeadbeef, 0x12345678, block);
      want.set(block, i);
    }
    expect(found).toEqual(want);
  }, SLOW);

  test("Gumbel numbers are the CPU's to a millionth, the extremes too", async () => {
    const edges = [0, 1, 511, 512, 0xffffffff, 0xfffffe00, 0xfffffdff, 0x7fffffff, 0x80000000, 0xb504f333, 0x5e2d58d8];
    const input = Uint32Array.from({ length: 4000 }, (_, i) => edges[i] ?? Math.imul(i, 0x9e3779b9));
    const found = new Float32Array((await map(GUMBEL, input)).buffer);
    let worst = 0;
    input.forEach((word, i) => {
      const want = gumbel(uniform(word));
      const error = Math.abs((found[i] ?? NaN) - want) / Math.max(1, Math.abs(want));
      if (!(error <= worst)) worst = error;
    });
    expect(worst).toBeLessThan(1e-6);
  }, SLOW);

  test("sortable words sort as numbers do, NaN as -Infinity, -0 as 0", async () => {
    const values = Float32Array.of(-Infinity, -3e38, -1, -1e-38, 0, 1e-38, 1, 3e38, Infinity, NaN, -0, -NaN);
    const keys = await map(SORTED, new Uint32Array(values.buffer));
    for (let i = 1; i < 9; i++) expect(keys[i] ?? 0).toBeGreaterThan(keys[i - 1] ?? Infinity);
    expect([keys[9], keys[10], keys[11]]).toEqual([keys[0], keys[4], keys[0]]);
  }, SLOW);

  test.each([[2, 2], [6, 4], [34, 18]])("corner rows of %i x %i ids, behind a source's", async (width, height) => {
    const ids = Uint16Array.from({ length: width * height }, (_, i) => (i * 977) % 17_522);
    const first = 8;
    const target = await upload(gpu, Int32Array.from(ids));
    const rows = await upload(gpu, new Int32Array(first + ids.length).fill(-7));
    const words = first + ids.length;
    const found = await gpu.run({
      dispatches: [cornerRowsOf(target, width, rows, first)],
      read: { tensor: rows, words },
    });
    const want = cornerRows(ids, { width, height }, 17_522).data as Int32Array;
    expect(Int32Array.from(found)).toEqual(Int32Array.of(...new Int32Array(first).fill(-7), ...want));
    target.release();
    rows.release();
  }, SLOW);

  test.each([1, 300, 513])("scatter of %i ids leaves the rest, and packs them in pairs", async (count) => {
    const [size, step] = [700, 9];
    const list = Int32Array.from({ length: count }, (_, i) => ((i * 11) % size) << 16 | (i + 3));
    const pairs = Math.ceil(count / 2);
    const [words, ids, at, packed] = [
      await upload(gpu, list),
      await upload(gpu, new Int32Array(size).fill(9999)),
      await upload(gpu, new Int32Array(size)),
      await upload(gpu, new Int32Array(pairs).fill(-1)),
    ];
    const scatter = {
      kernel: SCATTER,
      params: packParams(SCATTER, { count, step }),
      storage: [words, ids, at, packed],
      groups: groupsFor(pairs),
    };
    const found = await gpu.run({ dispatches: [scatter], read: { tensor: ids, words: size } });
    const steps = await gpu.run({ dispatches: [], read: { tensor: at, words: size } });
    const halves = await gpu.run({ dispatches: [], read: { tensor: packed, words: pairs } });
    const want = new Uint32Array(size).fill(9999);
    list.forEach((word) => want[word >>> 16] = word & 0xffff);
    expect(found).toEqual(want);
    expect(steps).toEqual(want.map((id) => id === 9999 ? 0 : step));
    const half = (i: number) => (list[i] ?? 0) & 0xffff;
    expect(halves).toEqual(Uint32Array.from({ length: pairs }, (_, i) => half(2 * i) | half(2 * i + 1) << 16));
    for (const tensor of [words, ids, at, packed]) tensor.release();
  }, SLOW);

  test.each([[1, 1], [300, 1], [300, 77], [300, 300]])(
    "the best of %i are %i, equals by position",
    async (m, count) => {
      const list = Uint32Array.from({ length: m }, (_, i) => (3 * i) << 16 | (i ^ 5));
      const score = list.map((_, i) => Math.imul(i, 0x9e3779b9) >>> 28); // many equals
      const [words, scores, best] = [
        await upload(gpu, Int32Array.from(list)),
        await upload(gpu, Int32Array.from(score)),
        await upload(gpu, new Int32Array(m)),
      ];
      const choose = {
        kernel: MOST_CONFIDENT,
        params: packParams(MOST_CONFIDENT, { candidates: m, count }),
        storage: [words, scores, best],
        groups: groupsFor(m),
      };
      const found = await gpu.run({ dispatches: [choose], read: { tensor: best, words: count } });
      const ranked = [...list.keys()].sort((a, b) => (score[b] ?? 0) - (score[a] ?? 0) || a - b).slice(0, count);
      expect([...found]).toEqual(ranked.map((i) => list[i]));
      for (const tensor of [words, scores, best]) tensor.release();
    },
    SLOW,
  );

  test("a kernel that the device refuses is told, and the next one runs", async () => {
    const broken = mapping("broken_test", "result = nothing(input);");
    await expect(map(broken, new Uint32Array(4))).rejects.toMatchObject({ code: "kernel_failed" });
    expect((await map(PHILOX, new Uint32Array(4)))[0]).toBe(0x6627e8d5);
  }, SLOW);

  test("what tensors held is given back", async () => {
    const before = gpu.holdings;
    const tensor = await upload(gpu, new Int32Array(100));
    expect(gpu.holdings).toMatchObject({ buffers: before.buffers + 1, bytes: before.bytes + 400 });
    tensor.release();
    await expect(tensor.read()).rejects.toMatchObject({ code: "tensor_released" });
    expect(gpu.holdings).toEqual(before);
  }, SLOW);
});
