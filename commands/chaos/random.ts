/**
 * Choices drawn from a seed: the same seed plans the same runs and faults.
 *
 * @module
 */
import { philoxDraws } from "../../core/diffusion/draws.ts";

export class Random {
  readonly #draws;
  readonly #block = new Float64Array(4);
  #at = 0;

  constructor(seed: number) {
    this.#draws = philoxDraws(seed);
  }

  /** In [0, 1). */
  next(): number {
    if (this.#at % 4 === 0) this.#draws.block(0, Math.floor(this.#at / 4), 0, 0, this.#block);
    return this.#block[this.#at++ % 4] ?? 0;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.min(to - from, Math.floor(this.next() * (to - from + 1)));
  }

  of<T>(choices: readonly T[]): T {
    const choice = choices[this.between(0, choices.length - 1)];
    if (choice === undefined) throw new RangeError("there is nothing to choose from");
    return choice;
  }

  /** A new list in another order. */
  shuffled<T>(list: readonly T[]): T[] {
    return list.map((item) => ({ item, at: this.next() })).sort((a, b) => a.at - b.at).map(({ item }) => item);
  }
}
