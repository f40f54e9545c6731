/**
 * The random numbers of the reference runs (parity README, "Draws"), in the place where Philox stands in the code that
 * ships.
 *
 * @module
 */
import { type Draws, PHASE } from "../../core/diffusion/draws.ts";

/** The hash of the tables and of the draws, uint32. */
export function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 15), 0x2C1B3C6D);
  h = Math.imul(h ^ (h >>> 12), 0x297A2D39);
  return (h ^ (h >>> 15)) >>> 0;
}

export interface ReferenceNumbers {
  /** Entries of one row of the tensor of draws: its last dimension. */
  readonly vocabulary: number;
  /** Rows before the first position: the prompt's, where the tensor covers the whole sequence. @default {0} */
  readonly before?: number;
  /** Stored numbers for confidence, [steps, positions]. */
  readonly confidence?: { readonly values: Float32Array; readonly positions: number };
}

export function referenceDraws({ vocabulary, before = 0, confidence }: ReferenceNumbers): Draws {
  return {
    maximum: 1 - 2 ** -33,
    block(phase, step, position, group, out) {
      if (phase === PHASE.confidence) {
        out[0] = confidence?.values[(step - 1) * confidence.positions + position] ?? NaN;
        return;
      }
      for (let lane = 0; lane < 4; lane++) {
        const n = (before + position) * vocabulary + 4 * group + lane;
        out[lane] = (mix(Math.imul(n, 0x9E3779B1) ^ Math.imul(step, 0x85EBCA77)) + 0.5) / 2 ** 32;
      }
    },
  };
}
