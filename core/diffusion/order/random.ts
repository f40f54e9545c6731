/**
 * A uniformly random order: positions sorted by one Philox word each.
 *
 * @module
 */
import { PHASE } from "../draws.ts";
import { philox, seedKey } from "../philox.ts";

/**
 * A permutation of 0 .. positions - 1.
 *
 * @param seed 0 to 2^53 - 1, the run's
 */
export function randomOrder(positions: number, seed: number): Uint32Array {
  const [key0, key1] = seedKey(seed);
  const words = new Uint32Array(4);
  const keys = new Uint32Array(positions);
  for (let position = 0; position < positions; position++) {
    philox(0, position, 0, PHASE.order << 16, key0, key1, words);
    keys[position] = words[0] as number;
  }
  const key = (position: number) => keys[position] as number;
  return Uint32Array.from(keys.keys()).sort((a, b) => key(a) - key(b) || a - b);
}
