/** What a step of a 1024-px picture brings to the host, counted: one read, 2 bytes an id where the order is fixed. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { GpuCanvas } from "../../../core/diffusion/gpu_pick.ts";
import type { PickPlan } from "../../../core/diffusion/pick.ts";
import { counts } from "../../../core/diffusion/schedule.ts";
import type { Gpu } from "../../../core/engine/gpu.ts";
import { difference, type GpuWatch, watchGpu } from "../../../core/engine/gpu_watch.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { describeWebGpu } from "../../core/engine/adapter.ts";
import { openGpu, randomLogits, SLOW, upload } from "./device.ts";

const POSITIONS = 4096;
const VOCABULARY = 9;
const MOST_BYTES = 4096 + 64;

/** The most that a step reveals. */
const most = (steps: number) => Math.max(...counts(POSITIONS, steps, "shift", 5));

test("6 steps of the default schedule stay within the bound, by confidence 16, and 64 read 602 bytes", () => {
  expect([5, 6].map((steps) => 2 * most(steps) <= MOST_BYTES)).toEqual([false, true]);
  expect([15, 16].map((steps) => 4 * most(steps) <= MOST_BYTES)).toEqual([false, true]);
  expect(2 * most(64)).toBe(602);
});

describeWebGpu("the read of a step", () => {
  let engine: Engine;
  let gpu: Gpu;
  let watch: GpuWatch;
  beforeAll(async () => {
    watch = watchGpu();
    ({ engine, gpu } = await openGpu());
  }, SLOW);
  afterAll(async () => {
    await engine?.close();
    watch?.stop();
  });

  test.each<[string, number, number, number, Partial<PickPlan>]>([
    ["one id", 1, 1, 4, {}],
    ["the most of 64 steps", most(64), most(64), 604, {}],
    ["the most that fit", 2080, 2080, MOST_BYTES, {}],
    ["by confidence, the most that fit", POSITIONS, 1040, MOST_BYTES, {
      confidence: { policy: "mmada", temperature: 0 },
    }],
  ])("%s", async (_, candidates, count, bytes, options) => {
    const canvas = await GpuCanvas.open(gpu, new Int32Array(POSITIONS).fill(VOCABULARY), new Int32Array(POSITIONS), {
      vocabulary: VOCABULARY,
      seed: 5,
    });
    const logits = await upload(gpu, randomLogits(candidates * VOCABULARY, 3));
    const positions = Uint32Array.from({ length: candidates }, (_, i) => POSITIONS - candidates + i);
    const before = watch.counts();
    const { ids } = await canvas.pick([{ tensor: logits, offset: 0 }], {
      step: 1,
      positions,
      count,
      guidance: 0,
      filter: { topK: 0, topP: 1 },
      temperature: 1,
      ...options,
    });
    expect(difference(before, watch.counts())).toMatchObject({ reads: 1, readBytes: bytes });
    const held = (await canvas.ids.read()).data;
    expect(held.filter((id) => Number(id) !== VOCABULARY).length).toBe(count);
    expect(ids.length).toBe(count);
    canvas.release();
    logits.release();
  }, SLOW);
});
