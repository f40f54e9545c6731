/**
 * MT19937 with the seeding and the integer methods of Python's `random.Random`, which the published stratified order is
 * made with.
 *
 * Source: Matsumoto and Nishimura, "Mersenne Twister" (1998); CPython, Lib/random.py and Modules/_randommodule.c
 * (behaviour).
 *
 * @module
 */

const SIZE = 624;
const PERIOD = 397;

export class MersenneTwister {
  readonly #state = new Uint32Array(SIZE);
  #next = SIZE;

  /** @param seed whole, 0 to 2^53 - 1; Python's `Random(seed)` */
  constructor(seed: number) {
    const key = seed >= 2 ** 32 ? [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0] : [seed >>> 0];
    this.#seedByArray(key);
  }

  #seedByArray(key: readonly number[]): void {
    const s = this.#state;
    s[0] = 19650218;
    for (let i = 1; i < SIZE; i++) s[i] = Math.imul(1812433253, mixed(s, i)) + i;
    let [i, j] = [1, 0];
    for (let k = Math.max(SIZE, key.length); k > 0; k--) {
      s[i] = (at(s, i) ^ Math.imul(mixed(s, i), 1664525)) + (key[j] ?? 0) + j;
      if (++i >= SIZE) i = wrap(s);
      if (++j >= key.length) j = 0;
    }
    for (let k = SIZE - 1; k > 0; k--) {
      s[i] = (at(s, i) ^ Math.imul(mixed(s, i), 1566083941)) - i;
      if (++i >= SIZE) i = wrap(s);
    }
    s[0] = 0x80000000;
  }

  /** The next word, uint32. */
  word(): number {
    if (this.#next >= SIZE) this.#generate();
    let y = at(this.#state, this.#next++);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Uniform in 0 .. n - 1, as `_randbelow`: words of bit_length(n) bits until one is small enough. n at most 2^32 - 1. */
  below(n: number): number {
    const drop = Math.clz32(n);
    for (let value = this.word() >>> drop;; value = this.word() >>> drop) if (value < n) return value;
  }

  /** `randrange(from, to)`: uniform in from .. to - 1. */
  range(from: number, to: number): number {
    return from + this.below(to - from);
  }

  /** `shuffle`: in place, from the end. */
  shuffle(list: unknown[]): void {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [list[i], list[j]] = [list[j], list[i]];
    }
  }

  #generate(): void {
    const s = this.#state;
    for (let i = 0; i < SIZE; i++) {
      const y = (at(s, i) & 0x80000000) | (at(s, (i + 1) % SIZE) & 0x7fffffff);
      s[i] = at(s, (i + PERIOD) % SIZE) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

function at(state: Uint32Array, index: number): number {
  return state[index] ?? 0;
}

/** The word before `index`, mixed with its own high bits. */
function mixed(state: Uint32Array, index: number): number {
  const before = at(state, index - 1);
  return before ^ (before >>> 30);
}

/** Carries the last word over to the front and says where to go on. */
function wrap(state: Uint32Array): number {
  state[0] = at(state, SIZE - 1);
  return 1;
}
