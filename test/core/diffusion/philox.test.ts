import { expect, test } from "vitest";
import { PHASE, philoxDraws } from "../../../core/diffusion/draws.ts";
import { philox, seedKey, uniform, UNIFORM_MAXIMUM } from "../../../core/diffusion/philox.ts";
import { PHILOX_VECTORS } from "./philox_vectors.ts";

test.each(PHILOX_VECTORS)(
  "Philox4x32-10 of %j under %j",
  ([c0 = 0, c1 = 0, c2 = 0, c3 = 0], [k0 = 0, k1 = 0], expected) => {
    const out = new Uint32Array(4);
    philox(c0, c1, c2, c3, k0, k1, out);
    expect([...out]).toEqual(expected);
  },
);

/** Philox in big integers, from the paper's text. */
function slowPhilox(counter: bigint[], key: bigint[]): bigint[] {
  const word = 0xffffffffn;
  let [x0 = 0n, x1 = 0n, x2 = 0n, x3 = 0n] = counter;
  let [k0 = 0n, k1 = 0n] = key;
  for (let round = 0; round < 10; round++) {
    const a = 0xd2511f53n * x0;
    const b = 0xcd9e8d57n * x2;
    [x0, x1, x2, x3] = [(b >> 32n) ^ x1 ^ k0, b & word, (a >> 32n) ^ x3 ^ k1, a & word];
    k0 = (k0 + 0x9e3779b9n) & word;
    k1 = (k1 + 0xbb67ae85n) & word;
  }
  return [x0, x1, x2, x3];
}

test("Philox equals its big-integer form on 500 counters", () => {
  const out = new Uint32Array([1, 2, 3, 4]);
  for (let n = 0; n < 500; n++) {
    const [a = 0, b = 0, c = 0, d = 0] = out;
    philox(a, b, c, d, n * 7919, ~n, out);
    const key = [BigInt(n * 7919), BigInt((~n) >>> 0)];
    expect([...out].map(BigInt)).toEqual(slowPhilox([a, b, c, d].map(BigInt), key));
  }
});

test("u is inside (0, 1) and exact in fp32", () => {
  for (const word of [0, 511, 512, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const u = uniform(word);
    expect(u).toBeGreaterThan(0);
    expect(u).toBeLessThanOrEqual(UNIFORM_MAXIMUM);
    expect(Math.fround(u)).toBe(u);
  }
  expect(uniform(0xffffffff)).toBe(UNIFORM_MAXIMUM);
  expect(uniform(0)).toBe(2 ** -24);
});

test("the counter is (candidate >> 2, position, step, phase << 16 | round), the lane candidate & 3", () => {
  const seed = 5 * 2 ** 32 + 9;
  expect(seedKey(seed)).toEqual([9, 5]);
  const block = new Float64Array(4);
  philoxDraws(seed, 3).block(PHASE.confidence, 12, 200, 77, block);
  const out = new Uint32Array(4);
  philox(77, 200, 12, (1 << 16) | 3, 9, 5, out);
  expect([...block]).toEqual([...out].map(uniform));
});
