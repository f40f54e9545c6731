/** The yardsticks of `bench gpu` run on the GPU alone: the engine refuses a graph with nodes on the CPU. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { gemmRate } from "../../bench/lib/gemm.ts";
import { copyRate } from "../../bench/lib/gpu_work.ts";
import type { Gpu } from "../../core/engine/gpu.ts";
import type { Engine } from "../../core/engine/types.ts";
import { describeWebGpu } from "../core/engine/adapter.ts";
import { openGpu, SLOW } from "../kernels/wgsl/device.ts";

describeWebGpu("yardsticks", () => {
  let engine: Engine;
  let gpu: Gpu;
  beforeAll(async () => void ({ engine, gpu } = await openGpu()), SLOW);
  afterAll(() => engine?.close());

  test.each([undefined, "float16"] as const)("products in %s", async (format) => {
    const rate = await gemmRate(engine, [256, 256, 256], 1, format);
    expect(rate).toBeGreaterThan(1e5);
    expect(rate).toBeLessThan(1e16);
  }, SLOW);

  test("copies", async () => {
    expect(await copyRate(gpu, 1, 3)).toBeGreaterThan(1e5);
  }, SLOW);
});
