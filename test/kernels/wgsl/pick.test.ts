/**
 * The GPU's choice of ids against the CPU's (core/diffusion/pick.ts), for every option: equal wherever the winning score
 * leads by more than 1e-5 of its size.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { gumbel, PHASE, philoxDraws } from "../../../core/diffusion/draws.ts";
import { applyFilter, FilterScratch } from "../../../core/diffusion/filter.ts";
import { GpuCanvas } from "../../../core/diffusion/gpu_pick.ts";
import { guide, guideEdit } from "../../../core/diffusion/guidance.ts";
import { HostPicker, type Picked, type PickPlan } from "../../../core/diffusion/pick.ts";
import type { Gpu } from "../../../core/engine/gpu.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { describeWebGpu } from "../../core/engine/adapter.ts";
import { openGpu, randomLogits, SLOW, upload } from "./device.ts";

const SEED = 2 ** 40 + 77;
const POSITIONS = 64;
const LEAD = 1e-5;

const plain: PickPlan = {
  step: 3,
  positions: Uint32Array.of(5, 0, 63, 17, 40),
  count: 5,
  guidance: 1.5,
  filter: { topK: 0, topP: 1 },
  temperature: 1,
};

/** [vocabulary, rows of logits, what differs from `plain`] */
const CASES: readonly (readonly [number, number, Partial<PickPlan>])[] = [
  [1, 1, {}],
  [2, 2, {}],
  [7, 1, { positions: Uint32Array.of(9), count: 1 }],
  [61, 2, { temperature: 0 }],
  [257, 1, { temperature: 0.3 }],
  [1000, 2, { temperature: 2.5, guidance: 4 }],
  [1000, 2, { guidance: 0 }],
  [5120, 2, { step: 200 }],
  [8192, 1, {}],
  [8192, 2, { temperature: 1e-30 }],
  [17_520, 2, {}],
  [17_520, 3, { edit: { mode: 0, imageGuidance: 1.4 }, guidance: 1.2 }],
  [1000, 3, { edit: { mode: 1, imageGuidance: 1.4 } }],
  [1000, 3, { edit: { mode: 2, imageGuidance: 0.5 }, temperature: 0.5 }],
  [61, 3, { edit: { mode: 3, imageGuidance: 2 }, guidance: 0 }],
  [61, 1, { filter: { topK: 1, topP: 1 } }],
  [257, 1, { filter: { topK: 5, topP: 1 }, temperature: 3 }],
  [257, 2, { filter: { topK: 300, topP: 1 } }],
  [1000, 2, { filter: { topK: 0, topP: 0.9 }, temperature: 2 }],
  [1000, 1, { filter: { topK: 50, topP: 0.5 }, temperature: 4 }],
  [1000, 1, { filter: { topK: 3, topP: 0.99 }, temperature: 0 }],
  [17_520, 2, { filter: { topK: 900, topP: 0.95 } }],
];

describeWebGpu("picking", () => {
  let engine: Engine;
  let gpu: Gpu;
  beforeAll(async () => void ({ engine, gpu } = await openGpu()), SLOW);
  afterAll(() => engine?.close());

  /** What the GPU reveals, and that its canvas holds it. */
  async function onGpu(
    rows: readonly Float32Array[],
    plan: PickPlan,
    vocabulary: number,
    positions = POSITIONS,
  ): Promise<Picked> {
    const masked = new Int32Array(positions).fill(vocabulary + 1);
    const canvas = await GpuCanvas.open(gpu, masked, new Int32Array(positions), { vocabulary, seed: SEED });
    // All rows in one buffer, as a graph gives them.
    const size = rows[0]?.length ?? 0;
    const all = new Float32Array(rows.length * size);
    rows.forEach((row, index) => all.set(row, index * size));
    const tensor = await upload(gpu, all);
    const picked = await canvas.pick(rows.map((_, index) => ({ tensor, offset: index * size })), plan);
    const [ids, at] = [await canvas.ids.read(), await canvas.revealedAt.read()];
    const wantAt = new Int32Array(positions);
    picked.positions.forEach((position, i) => {
      masked[position] = picked.ids[i] ?? -1;
      wantAt[position] = plan.step;
    });
    expect(ids.data).toEqual(masked);
    expect(at.data).toEqual(wantAt);
    canvas.release();
    tensor.release();
    return picked;
  }

  const onHost = (rows: readonly Float32Array[], plan: PickPlan, vocabulary: number) =>
    new HostPicker(vocabulary, philoxDraws(SEED)).pick(rows, plan);

  /** By how much of its size the winning score of the i-th position leads, by plain arithmetic. */
  function leadAt(rows: readonly Float32Array[], plan: PickPlan, vocabulary: number, i: number): number {
    const [first = new Float32Array(), second = first, third = first] = rows;
    const logits = new Float32Array(vocabulary);
    const { edit, guidance, temperature, step } = plan;
    const at = i * vocabulary;
    if (rows.length === 1) logits.set(first.subarray(at, at + vocabulary));
    else if (edit === undefined) guide(first, second, at, vocabulary, guidance, logits);
    else guideEdit(first, second, third, at, vocabulary, edit.mode, guidance, edit.imageGuidance, logits);
    applyFilter(logits, plan.filter, new FilterScratch(vocabulary));
    const [draws, block] = [philoxDraws(SEED), new Float64Array(4)];
    let [best, next] = [-Infinity, -Infinity];
    logits.forEach((logit, id) => {
      draws.block(PHASE.candidate, step, plan.positions[i] ?? 0, id >> 2, block);
      const score = temperature === 0 ? logit : logit / temperature + gumbel(block[id & 3] ?? NaN);
      if (score > best) [best, next] = [score, best];
      else if (score > next) next = score;
    });
    return (best - next) / Math.abs(best);
  }

  test.each(CASES)("%i codes, %i rows, %j", async (vocabulary, count, options) => {
    const plan = { ...plain, ...options };
    const rows = Array.from({ length: count }, (_, k) => randomLogits(plan.positions.length * vocabulary, 10 + k));
    const [found, want] = [await onGpu(rows, plan, vocabulary), onHost(rows, plan, vocabulary)];
    expect(found.positions).toEqual(want.positions);
    found.ids.forEach((id, i) => {
      if (id !== want.ids[i]) expect(leadAt(rows, plan, vocabulary, i)).toBeLessThanOrEqual(LEAD);
    });
  }, SLOW);

  test("19,968 draws of every temperature and filter: none differs that leads, and others are rare", async () => {
    const [vocabulary, size] = [300, 512];
    const positions = Uint32Array.from({ length: size }, (_, i) => i);
    let [draws, different] = [0, 0];
    for (let step = 1; step <= 39; step++) {
      const rows = [randomLogits(size * vocabulary, step), randomLogits(size * vocabulary, 100 + step)];
      const filter = { topK: [0, 20, 3][step % 3] ?? 0, topP: [1, 0.8][step % 2] ?? 1 };
      const temperature = [0.2, 1, 5][Math.floor(step / 6) % 3] ?? 1;
      const plan = { ...plain, positions, count: size, step, filter, temperature };
      const [found, want] = [await onGpu(rows, plan, vocabulary, size), onHost(rows, plan, vocabulary)];
      found.ids.forEach((id, i) => {
        draws++;
        if (id === want.ids[i]) return;
        different++;
        expect(leadAt(rows, plan, vocabulary, i)).toBeLessThanOrEqual(LEAD);
      });
    }
    console.info(`${different} of ${draws} draws differ from the CPU's`);
    expect(draws).toBe(19_968);
    expect(different).toBeLessThanOrEqual(1e-4 * draws);
  }, SLOW);

  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  test.each<[string, readonly number[], number]>([
    ["NaN never wins", [nan, 1, nan, 30, nan], 3],
    ["NaN beside a NaN and -Infinity: the first", [-inf, nan, -inf, nan, -inf], 0],
    ["NaN throughout: the first", [nan, nan, nan, nan, nan], 0],
    ["-Infinity never wins", [-inf, -inf, -40, -inf, -inf], 2],
    ["Infinity wins, the first of two", [80, 2, inf, 1, inf], 2],
    ["Infinity beside NaN", [nan, inf, 1, -inf, nan], 1],
  ])("%s, on the GPU as on the CPU", async (_, values, id) => {
    const logits = Float32Array.from(values);
    for (const temperature of [0, 1]) {
      for (const filter of [{ topK: 0, topP: 1 }, { topK: 2, topP: 0.9 }]) {
        const plan = { ...plain, positions: Uint32Array.of(11), count: 1, temperature, filter };
        for (const rows of [[logits], [logits, Float32Array.of(0, 0, 0, 0, 0)]]) {
          expect([...onHost(rows, plan, 5).ids], "cpu").toEqual([id]);
          expect([...(await onGpu(rows, plan, 5)).ids], "gpu").toEqual([id]);
        }
      }
    }
  }, SLOW);

  test("NaN in an unconditional row keeps its id out", async () => {
    const rows = [Float32Array.of(50, 1, 2), Float32Array.of(nan, 1, 2)];
    const plan = { ...plain, positions: Uint32Array.of(11), count: 1, temperature: 0 };
    expect(await onGpu(rows, plan, 3)).toEqual(onHost(rows, plan, 3));
    expect([...onHost(rows, plan, 3).ids]).toEqual([2]);
  }, SLOW);

  test.each([0, -3.5, 1e30])(
    "logits that are all %f: the noise decides alone, and at 0 the first id",
    async (value) => {
      const vocabulary = 513;
      const rows = [new Float32Array(plain.positions.length * vocabulary).fill(value)];
      const cold = { ...plain, temperature: 0 };
      expect([...(await onGpu(rows, cold, vocabulary)).ids]).toEqual([0, 0, 0, 0, 0]);
      for (const filter of [plain.filter, { topK: 4, topP: 0.5 }]) {
        const plan = { ...plain, filter };
        const [found, want] = [await onGpu(rows, plan, vocabulary), onHost(rows, plan, vocabulary)];
        if (Math.abs(value) < 1e6) expect(found).toEqual(want);
        // Beside 1e30 no fp32 and no fp64 sees the noise: all scores are equal.
        else expect([...found.ids]).toEqual([0, 0, 0, 0, 0]);
      }
    },
    SLOW,
  );

  test.each(
    [
      [1, 1, { policy: "mmada", temperature: 0 }],
      [61, 10, { policy: "mmada", temperature: 1.5 }],
      [61, 64, { policy: "mask_git", temperature: 0.5 }],
      [2000, 7, { policy: "mask_git", temperature: 4 }],
      [2000, 1, { policy: "mmada", temperature: 1e-30 }],
    ] as const,
  )("%i codes, the %i most confident of 64, %j", async (vocabulary, count, confidence) => {
    const positions = Uint32Array.from({ length: POSITIONS }, (_, i) => i);
    const rows = [1, 2].map((seed) => randomLogits(POSITIONS * vocabulary, seed));
    for (const filter of [plain.filter, { topK: 9, topP: 0.9 }]) {
      const plan = { ...plain, positions, count, confidence, filter };
      expect(await onGpu(rows, plan, vocabulary)).toEqual(onHost(rows, plan, vocabulary));
    }
  }, SLOW);

  test("confidence with NaN and infinities is the CPU's", async () => {
    const positions = Uint32Array.of(3, 4, 5, 6);
    const logits = Float32Array.of(1, nan, 2, inf, 1, 1, nan, nan, nan, 4, 0, 0);
    const plan = { ...plain, positions, count: 4, confidence: { policy: "mmada", temperature: 0 } as const };
    expect(await onGpu([logits], plan, 3)).toEqual(onHost([logits], plan, 3));
  }, SLOW);

  test("100,000 draws follow softmax(logits / temperature): chi-square", async () => {
    const logits = Float32Array.of(1, 0, -1, 2, 0.5, -0.5, 1.5);
    const [size, temperature] = [50_000, 0.7];
    const masked = new Int32Array(size);
    const canvas = await GpuCanvas.open(gpu, masked, masked, { vocabulary: 7, seed: SEED });
    const tensor = await upload(gpu, Float32Array.from({ length: 7 * size }, (_, i) => logits[i % 7] ?? NaN));
    const positions = Uint32Array.from(masked.keys());
    const counted = new Float64Array(7);
    for (const step of [1, 2]) {
      const plan = { ...plain, positions, count: size, step, temperature };
      (await canvas.pick([{ tensor, offset: 0 }], plan)).ids.forEach((id) => counted[id] = (counted[id] ?? 0) + 1);
    }
    const weights = logits.map((logit) => Math.exp(logit / temperature));
    const total = weights.reduce((a, b) => a + b, 0);
    const chi = counted.reduce((sum, count, i) => {
      const expected = 2 * size * (weights[i] ?? 0) / total;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    expect(counted.reduce((a, b) => a + b, 0)).toBe(100_000);
    expect(chi).toBeLessThan(22.5); // 6 degrees of freedom, 0.999
    canvas.release();
    tensor.release();
  }, SLOW);

  test("rows that do not fit, and pictures that do not fit a word, are refused", async () => {
    const open = (size: number, vocabulary: number) =>
      GpuCanvas.open(gpu, new Int32Array(size), new Int32Array(size), { vocabulary, seed: 1 });
    await expect(open(0, 8)).rejects.toThrow("16 bits");
    await expect(open(8, 70_000)).rejects.toThrow("16 bits");
    const canvas = await open(8, 8);
    const plan = { ...plain, positions: Uint32Array.of(1), count: 1 };
    await expect(canvas.pick([], plan)).rejects.toThrow("no logits");
    const part = { tensor: canvas.ids, offset: 0 };
    await expect(canvas.pick([part, part, part], plan)).rejects.toThrow("do not fit");
    canvas.release();
  }, SLOW);
});
