/**
 * What the GPU's choices of VQ ids and of tokens are told alike.
 *
 * @module
 */
import type { CHOICE_PARAMS } from "../../kernels/wgsl/choice.ts";
import type { ParamValues } from "../../kernels/wgsl/kernel.ts";
import type { Gpu } from "../engine/gpu.ts";
import type { ResidentTensor } from "../engine/types.ts";
import { PHASE } from "./draws.ts";
import { seedKey } from "./philox.ts";

/** Below this scores leave the range of fp32: such temperatures count as 0. */
const COLDEST = 1e-30;

/** A temperature that fp32 scores can be divided by, else 0. */
export function warmEnough(temperature: number): number {
  return temperature < COLDEST ? 0 : temperature;
}

export interface ChoiceOptions {
  /** The logits of one position. */
  readonly vocabulary: number;
  /** 0 to 2^53 - 1 */
  readonly seed: number;
  /** Of refinement, 0 to 65535. @default {0} */
  readonly round?: number;
}

export function choiceValues(
  { vocabulary, seed, round = 0 }: ChoiceOptions,
  { temperature, step }: { readonly temperature: number; readonly step: number },
): ParamValues<typeof CHOICE_PARAMS> {
  const [key0, key1] = seedKey(seed);
  return {
    vocabulary,
    temperature: warmEnough(temperature),
    key0,
    key1,
    step,
    candidate_phase: PHASE.candidate << 16 | round,
    confidence_phase: PHASE.confidence << 16 | round,
  };
}

/** int32 [size] each: a plan's positions, a word and a score for each, and the words that are revealed. */
export type ChoiceScratch = readonly [
  positions: ResidentTensor,
  words: ResidentTensor,
  scores: ResidentTensor,
  revealed: ResidentTensor,
];

export async function choiceScratch(gpu: Gpu, size: number): Promise<ChoiceScratch> {
  const tensor = () => gpu.tensor({ dtype: "int32", dims: [size], data: new Int32Array(size) });
  return [await tensor(), await tensor(), await tensor(), await tensor()];
}
