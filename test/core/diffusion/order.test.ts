import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { haltonOrder } from "../../../core/diffusion/order/halton.ts";
import { MersenneTwister } from "../../../core/diffusion/order/mersenne_twister.ts";
import { fixedOrder, ORDERS } from "../../../core/diffusion/order/order.ts";
import { randomOrder } from "../../../core/diffusion/order/random.ts";
import { stratifiedOrder } from "../../../core/diffusion/order/stratified.ts";
import { parity } from "./parity.ts";

test.each(Object.keys(parity.orders))("stratified order %s is the published one", (name) => {
  const [, n, seed] = /^n(\d+)_seed(\d+)$/.exec(name) ?? [];
  expect([...stratifiedOrder(Number(n), Number(seed))]).toEqual(parity.orders[name]);
});

// Facts 12.
test.each([
  [64, "33f811cc0a6123ff104baea0c3ffc6c0682ebe2565a6bb9213c39133eff83721"],
  [32, "4c8b92d3af6548a33e37238ad91a89c5929f2bd3a48b7bffb86a59507928011b"],
  [16, "a35e257c577abff8614878c28c979ee05da4d1cac2d3948aeb51a597cc9c5add"],
])("stratified order of %d hashes to the published sum", (n, sum) => {
  expect(createHash("sha256").update([...stratifiedOrder(n)].join(",")).digest("hex")).toBe(sum);
});

test("a caller that writes into its order does not change the next one", () => {
  stratifiedOrder(4).fill(0);
  expect([...stratifiedOrder(4)].slice(0, 4)).toEqual([8, 2, 14, 0]);
});

test("stratified: 4^k points lie one in each block of round k", () => {
  const order = stratifiedOrder(16, 5);
  for (const side of [8, 4, 2]) {
    const across = 16 / side;
    const blocks = [...order.slice(0, across * across)].map((p) =>
      Math.floor(Math.floor(p / 16) / side) * across + Math.floor((p % 16) / side)
    );
    expect(new Set(blocks).size).toBe(across * across);
  }
});

test("stratified refuses a grid it cannot halve", () => {
  expect(() => stratifiedOrder(12)).toThrow(expect.objectContaining({ code: "order_needs_power_of_two" }));
});

test("every fixed order is a permutation, the same one twice", () => {
  for (const name of ORDERS) {
    const order = fixedOrder(name, 16, 9);
    if (name === "confidence") {
      expect(order).toBeUndefined();
      continue;
    }
    expect(Uint32Array.from(order ?? []).sort()).toEqual(Uint32Array.from({ length: 256 }, (_, i) => i));
    expect(fixedOrder(name, 16, 9)).toEqual(order);
  }
});

test("halton: any grid; the first points are those of bases 2 and 3; early points spread", () => {
  expect(new Set(haltonOrder(12)).size).toBe(144);
  // (1/2, 1/3), (1/4, 2/3), (3/4, 1/9), (1/8, 4/9) times 16.
  expect([...haltonOrder(16).slice(0, 4)]).toEqual([5 * 16 + 8, 10 * 16 + 4, 1 * 16 + 12, 7 * 16 + 2]);
  const quadrants = [0, 0, 0, 0];
  for (const p of haltonOrder(16).slice(0, 64)) {
    const q = (p >= 128 ? 2 : 0) + (p % 16 >= 8 ? 1 : 0);
    quadrants[q] = (quadrants[q] ?? 0) + 1;
  }
  expect(Math.min(...quadrants)).toBeGreaterThanOrEqual(14);
});

test("random: another seed, also in its high word, is another order; first places are uniform", () => {
  const orders = [1, 2, 2 ** 32 + 1].map((seed) => [...randomOrder(256, seed)].join());
  expect(new Set(orders).size).toBe(3);
  const places = new Float64Array(16);
  for (let seed = 0; seed < 4000; seed++) {
    const first = randomOrder(16, seed)[0] ?? 0;
    places[first] = (places[first] ?? 0) + 1;
  }
  const chi = places.reduce((sum, count) => sum + (count - 250) ** 2 / 250, 0);
  expect(chi).toBeLessThan(37.7); // 15 degrees of freedom, 0.999
});

// python3 -c "import random; r = random.Random(S); print([r.getrandbits(32) for _ in range(3)], r.randrange(10, 1000), ...)"
test.each([
  [0, [3626764237, 1654615998, 3255389356], 921, [8, 9, 1, 2, 5, 3, 7, 4, 0, 6]],
  [42, [2746317213, 478163327, 107420369], 769, [7, 6, 2, 9, 0, 5, 1, 8, 3, 4]],
  [4294967295, [2728839433, 2661025012, 872737089], 230, [0, 6, 1, 5, 3, 2, 7, 4, 8, 9]],
  [4294967296, [485306839, 1508871100, 1794561286], 967, [1, 2, 7, 8, 3, 4, 6, 5, 9, 0]],
  [9007199254740991, [404802386, 2407860725, 957238923], 780, [8, 7, 5, 4, 9, 6, 0, 1, 2, 3]],
])("Mersenne Twister seeded %d is Python's", (seed, words, range, shuffled) => {
  const random = new MersenneTwister(seed);
  expect([random.word(), random.word(), random.word()]).toEqual(words);
  expect(random.range(10, 1000)).toBe(range);
  const list = Array.from({ length: 10 }, (_, i) => i);
  random.shuffle(list);
  expect(list).toEqual(shuffled);
});
