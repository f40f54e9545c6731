/** The GPU of these tests, and logits for them. */
import { gumbel, philoxDraws } from "../../../core/diffusion/draws.ts";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Gpu } from "../../../core/engine/gpu.ts";
import type { Engine, ResidentTensor } from "../../../core/engine/types.ts";

/** Milliseconds, for a software adapter on a busy machine. */
export const SLOW = 1_800_000;

export async function openGpu(): Promise<{ readonly engine: Engine; readonly gpu: Gpu }> {
  const engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
  if (engine.gpu === undefined) throw new Error("the webgpu engine has no gpu");
  return { engine, gpu: engine.gpu };
}

export function upload(gpu: Gpu, data: Float32Array | Int32Array): Promise<ResidentTensor> {
  return gpu.tensor({ dtype: data instanceof Float32Array ? "float32" : "int32", dims: [data.length], data });
}

/** Logits that look like a model's: most far below a few. */
export function randomLogits(size: number, seed: number): Float32Array {
  const draws = philoxDraws(seed);
  const block = new Float64Array(4);
  return Float32Array.from({ length: size }, (_, i) => {
    draws.block(0, 0, i, 0, block);
    return 3 * gumbel(block[0] ?? 0.5) - 5 * (block[1] ?? 0);
  });
}
