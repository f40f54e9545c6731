/**
 * Where the samplers' random numbers come from. What ships is Philox; a parity run puts the published reference's
 * numbers in the same place.
 *
 * @module
 */
import { philox, seedKey, uniform, UNIFORM_MAXIMUM } from "./philox.ts";

/** What a number is used for; the high half of the counter's last word. */
export const PHASE = { candidate: 0, confidence: 1, order: 2 } as const;
export type Phase = (typeof PHASE)[keyof typeof PHASE];

export interface Draws {
  /** No number is larger than this; samplers skip candidates that even this could not save. */
  readonly maximum: number;
  /**
   * Uniform numbers in (0, 1) of four neighbouring candidates, 4 group to 4 group + 3, at one position of one step.
   *
   * @param out [4]
   */
  block(phase: Phase, step: number, position: number, group: number, out: Float64Array): void;
}

/**
 * Philox under a seed: counter = (candidate >> 2, position, step, phase << 16 | round), lane = candidate & 3.
 *
 * @param seed 0 to 2^53 - 1
 * @param round of refinement, 0 to 65535
 */
export function philoxDraws(seed: number, round = 0): Draws {
  const [key0, key1] = seedKey(seed);
  const words = new Uint32Array(4);
  return {
    maximum: UNIFORM_MAXIMUM,
    block(phase, step, position, group, out) {
      philox(group, position, step, (phase << 16) | round, key0, key1, words);
      for (let lane = 0; lane < 4; lane++) out[lane] = uniform(words[lane] as number);
    },
  };
}

/** Gumbel noise -ln(-ln u). */
export function gumbel(u: number): number {
  return -Math.log(-Math.log(u));
}
