/**
 * Choices from a seed, over the project's counter-based random numbers.
 *
 * @module
 */
import { philox } from "../../core/diffusion/philox.ts";

export interface Chooser {
  /** An integer in 0..n-1. */
  below(n: number): number;
  pick<T>(items: readonly T[]): T;
  /** All items, in a random order. */
  shuffled<T>(items: readonly T[]): T[];
}

/** @param seed any safe integer */
export function createChooser(seed: number): Chooser {
  const words = new Uint32Array(4);
  let block = 0, lane = 4;
  const below = (n: number) => {
    if (lane === 4) {
      philox(block++, 0, 0, 0, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, words);
      lane = 0;
    }
    return Math.floor((words[lane++] as number) / 2 ** 32 * n);
  };
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new RangeError("nothing to pick from");
    return items[below(items.length)] as T;
  };
  const shuffled = <T>(items: readonly T[]): T[] => {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  };
  return { below, pick, shuffled };
}
