/**
 * What a step on the GPU has to do, and what the GPU can do: products, bytes of weights, and the pace of a copy.
 *
 * @module
 */
import type { Gpu } from "../../core/engine/gpu.ts";
import type { ModelConfig } from "../../core/model/config.ts";
import { modelLayout } from "../../core/model/layout.ts";
import { groupsFor, kernel, packParams } from "../../kernels/wgsl/kernel.ts";

export interface StepShape {
  /** 1, 2 (guidance) or 3 (edit). */
  readonly rows: number;
  /** Tokens of the prompt, whose keys and values are there already. */
  readonly prompt: number;
  /** Tokens of the picture, and those of them that hold a revealed position. */
  readonly cells: number;
  readonly chosen: number;
  /** Revealed positions. */
  readonly picks: number;
}

/** Multiply-adds of a step of the draw graph with `prefix` attention (core/model/graphs/draw.ts), products only. */
export function stepWork(config: ModelConfig, shape: StepShape): number {
  const { dModel, dModelGen, mlpHiddenGen, layers, jointLayers, vqCodes } = config;
  const { rows, prompt, cells, chosen, picks } = shape;
  let sum = cells * dModelGen * dModelGen; // gen_embedding_2
  for (let layer = 0; layer < layers; layer++) {
    // Layer 0 is the same for all rows up to its attention.
    const own = layer === 0 ? 1 : rows;
    const queries = layer === layers - 1 ? chosen : cells;
    const seen = cells + (layer < jointLayers ? prompt : 0);
    sum += own * (2 * cells + queries) * dModelGen * dModel; // keys, values, queries
    sum += rows * queries * (2 * seen * dModel + dModel * dModelGen + 3 * dModelGen * mlpHiddenGen);
  }
  const middle = modelLayout(config).get("model.gen_predictor.0.weight")?.dims[0] ?? dModelGen;
  return sum + rows * (chosen * 4 * dModelGen * dModelGen + picks * (dModelGen * middle + middle * vqCodes));
}

const COPY = kernel(
  "copy",
  [["vectors", "u32"]],
  `
@group(0) @binding(1) var<storage, read> origin: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> copied: array<vec4<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  if (invocation.x < params.vectors) { copied[invocation.x] = origin[invocation.x]; }
}
`,
);

/** Bytes a second, read and written, of a plain copy; the best of `repeats`. */
export async function copyRate(gpu: Gpu, megabytes: number, repeats: number): Promise<number> {
  const words = megabytes * 2 ** 18;
  const data = new Int32Array(words);
  const tensor = () => gpu.tensor({ dtype: "int32", dims: [words], data });
  const [from, to] = [await tensor(), await tensor()];
  const params = packParams(COPY, { vectors: words / 4 });
  const dispatch = { kernel: COPY, params, storage: [from, to], groups: groupsFor(words / 4) };
  // A wait costs what it costs: the copies of one submission less those of a shorter one.
  const seconds = async (copies: number) => {
    let best = Infinity;
    for (let i = 0; i < repeats; i++) {
      const start = performance.now();
      await gpu.run({ dispatches: Array.from({ length: copies }, () => dispatch), read: { tensor: to, words: 1 } });
      best = Math.min(best, (performance.now() - start) / 1000);
    }
    return best;
  };
  const [one, nine] = [await seconds(1), await seconds(9)];
  from.release();
  to.release();
  return 8 * 2 * 4 * words / Math.max(nine - one, 1e-9);
}
