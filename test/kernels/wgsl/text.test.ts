/**
 * The GPU's choice of an answer's tokens against the CPU's (core/diffusion/text_blocks.ts): the same tokens, and the same
 * places surest first, wherever the numbers that decide are further apart than fp32 can tell.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { philoxDraws } from "../../../core/diffusion/draws.ts";
import { GpuTextPicker } from "../../../core/diffusion/gpu_text.ts";
import type { Picked } from "../../../core/diffusion/pick.ts";
import { drawBlock } from "../../../core/diffusion/sampling.ts";
import { candidate, surest, TEXT_CONFIDENCES, type TextPickPlan } from "../../../core/diffusion/text_blocks.ts";
import type { Gpu } from "../../../core/engine/gpu.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { describeWebGpu } from "../../core/engine/adapter.ts";
import { openGpu, randomLogits, SLOW, upload } from "./device.ts";

const SEED = 2 ** 33 + 5;
const positions = Uint32Array.of(2, 3, 5, 6, 7, 11, 12, 15);
const plain: TextPickPlan = { step: 4, positions, count: 3, temperature: 0, confidence: "probability" };
/** Confidences of fp32 nearer than this may change places. */
const NEAR = 2e-6;

describeWebGpu("picking tokens", () => {
  let engine: Engine;
  let gpu: Gpu;
  beforeAll(async () => void ({ engine, gpu } = await openGpu()), SLOW);
  afterAll(() => engine?.close());

  async function onGpu(logits: Float32Array, plan: TextPickPlan, vocabulary: number): Promise<Picked> {
    const picker = await GpuTextPicker.open(gpu, { vocabulary, seed: SEED, picks: 16 });
    const tensor = await upload(gpu, logits);
    const picked = await picker.pick({ tensor, offset: 0 }, plan);
    tensor.release();
    picker.release();
    return picked;
  }

  function candidates(logits: Float32Array, plan: TextPickPlan, vocabulary: number) {
    return Array.from(plan.positions, (position, i) => {
      const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
      return candidate(row, plan.temperature, plan.confidence, philoxDraws(SEED), plan.step, position, drawBlock());
    });
  }

  /** The CPU's choice; fails where the logits leave it open, so that no test compares coin tosses. */
  function onHost(logits: Float32Array, plan: TextPickPlan, vocabulary: number): Picked {
    const all = candidates(logits, plan, vocabulary);
    const sorted = all.map(({ confidence }) => Number.isNaN(confidence) ? -Infinity : confidence).sort((a, b) => b - a);
    sorted.forEach((value, i) => {
      const next = sorted[i + 1] ?? -Infinity;
      if (value !== next) expect(value - next, "a test of equals").toBeGreaterThan(NEAR);
    });
    const kept = surest(all, plan.count);
    return {
      positions: Uint32Array.from(kept, (i) => plan.positions[i] ?? 0),
      ids: Uint32Array.from(kept, (i) => all[i]?.id ?? 0),
    };
  }

  const cases = TEXT_CONFIDENCES.flatMap((confidence) =>
    ([[1, 0], [7, 0], [257, 0.7], [2466, 0], [8192, 1.3], [126_464, 0.9]] as const).map(
      ([vocabulary, temperature]) => [confidence, vocabulary, temperature] as const,
    )
  );
  test.each(cases)("by %s, %i tokens, temperature %f", async (confidence, vocabulary, temperature) => {
    for (const count of [1, 3, 8]) {
      const plan = { ...plain, confidence, temperature, count };
      const logits = randomLogits(positions.length * vocabulary, vocabulary + count);
      expect(await onGpu(logits, plan, vocabulary)).toEqual(onHost(logits, plan, vocabulary));
    }
  }, SLOW);

  test("one place alone, and places that are equal go by position", async () => {
    const one = { ...plain, positions: Uint32Array.of(9), count: 1 };
    expect(await onGpu(Float32Array.of(1, 5, 2), one, 3)).toEqual({
      positions: Uint32Array.of(9),
      ids: Uint32Array.of(1),
    });
    for (const confidence of ["probability", "margin", "entropy"] as const) {
      for (const value of [0, -3.5, 1e30]) {
        const equal = new Float32Array(positions.length * 513).fill(value);
        expect(await onGpu(equal, { ...plain, confidence }, 513)).toEqual({
          positions: Uint32Array.of(2, 3, 5),
          ids: Uint32Array.of(0, 0, 0),
        });
      }
    }
  }, SLOW);

  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  test.each(["probability", "margin", "entropy"] as const)(
    "NaN and infinities, by %s: the CPU's",
    async (confidence) => {
      const rows = [[1, nan, 3, 2], [nan, nan, nan, nan], [0, inf, 1, 1], [-inf, -inf, 4, -inf], [1, 1, 1, -inf]];
      const logits = Float32Array.from(rows.flat());
      const plan = { ...plain, confidence, positions: Uint32Array.of(0, 1, 2, 3, 4), count: 5 };
      const found = await onGpu(logits, plan, 4);
      expect(found).toEqual(onHost(logits, plan, 4));
      // What has no finite largest logit is the least sure, by position.
      expect([...found.positions.slice(0, 1), ...found.positions.slice(3)]).toEqual([3, 1, 2]);
    },
    SLOW,
  );

  test("NaN and infinities, by a coordinate's own logit as grounding has it", async () => {
    const rows = [[1, nan, 3, 2], [nan, nan, nan, nan], [0, inf, 1, 1], [-inf, -inf, 4, -inf], [1, 1, 1, -inf]];
    const plan = { ...plain, confidence: "logit", positions: Uint32Array.of(0, 1, 2, 3, 4), count: 5 } as const;
    const picker = await GpuTextPicker.open(gpu, { vocabulary: 4, seed: SEED, picks: 5 });
    const tensor = await upload(gpu, Float32Array.from(rows.flat()));
    const found = await picker.pick({ tensor, offset: 0 }, plan);
    // Infinity is the surest, what has no number the least.
    expect(found).toEqual({ positions: Uint32Array.of(2, 3, 0, 4, 1), ids: Uint32Array.of(1, 2, 2, 0, 0) });
    tensor.release();
    picker.release();
  }, SLOW);

  test("what does not fit a word is refused", async () => {
    const open = (picks: number, vocabulary: number) => GpuTextPicker.open(gpu, { vocabulary, seed: 1, picks });
    await expect(open(0, 8)).rejects.toThrow("do not fit");
    await expect(open(4097, 8)).rejects.toThrow("do not fit");
    await expect(open(8, 2 ** 20 + 1)).rejects.toThrow("do not fit");
  }, SLOW);
});
