/**
 * Philox4x32-10: random numbers as a pure function of key and counter, so a run saves no generator state.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); Random123's
 * known-answer vectors are in the test. The counter's meaning is docs/design.md, "Random numbers".
 *
 * @module
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** High words of the multipliers' halves; see the product below. */
const M0_HIGH = MULTIPLIER_0 >>> 16;
const M0_LOW = MULTIPLIER_0 & 0xffff;
const M1_HIGH = MULTIPLIER_1 >>> 16;
const M1_LOW = MULTIPLIER_1 & 0xffff;
const SHIFT = 1 / 65536;

/**
 * One block: four words for four counter words under a two-word key. All words are uint32, given as any number with
 * these low 32 bits.
 *
 * @param out [4], uint32
 */
export function philox(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  let [x0, x1, x2, x3] = [c0 | 0, c1 | 0, c2 | 0, c3 | 0];
  for (let round = 0; round < 10; round++) {
    // The high word of a 32x32 product from two 16x32 ones: each is below 2^48, so a double holds it exactly.
    const a = x0 >>> 0;
    const b = x2 >>> 0;
    const high0 = Math.floor((M0_HIGH * a + Math.floor(M0_LOW * a * SHIFT)) * SHIFT);
    const high1 = Math.floor((M1_HIGH * b + Math.floor(M1_LOW * b * SHIFT)) * SHIFT);
    const low0 = Math.imul(MULTIPLIER_0, x0);
    const low1 = Math.imul(MULTIPLIER_1, x2);
    x0 = high1 ^ x1 ^ k0;
    x1 = low1;
    x2 = high0 ^ x3 ^ k1;
    x3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

/** A word as u in (0, 1): ((x >>> 9) + 0.5) 2^-23, exact in fp32. */
export function uniform(word: number): number {
  return ((word >>> 9) + 0.5) * 2 ** -23;
}

/** The largest value of {@link uniform}. */
export const UNIFORM_MAXIMUM = 1 - 2 ** -24;

/** A seed of up to 53 bits as the two key words. */
export function seedKey(seed: number): readonly [low: number, high: number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}
