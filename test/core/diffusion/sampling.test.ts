import { expect, test } from "vitest";
import { type Draws, gumbel, philoxDraws } from "../../../core/diffusion/draws.ts";
import { applyFilter, FilterScratch } from "../../../core/diffusion/filter.ts";
import { argmax, drawBlock, logProbability, sample } from "../../../core/diffusion/sampling.ts";
import { parity } from "./parity.ts";

/** Logits that look like a model's: most far below a few. */
function randomLogits(size: number, seed: number): Float32Array {
  const draws = philoxDraws(seed);
  const block = drawBlock();
  return Float32Array.from({ length: size }, (_, i) => {
    draws.block(0, 0, i, 0, block);
    return 3 * gumbel(block[0] ?? 0.5) - 5 * (block[1] ?? 0);
  });
}

/** The plain form of `sample`: every candidate, no short cut. */
function plainSample(logits: Float32Array, temperature: number, draws: Draws, step: number, position: number): number {
  const block = drawBlock();
  let best = -Infinity;
  let bestId = -1;
  for (let id = 0; id < logits.length; id++) {
    draws.block(0, step, position, id >> 2, block);
    const score = (logits[id] ?? 0) / temperature + gumbel(block[id & 3] ?? 0.5);
    if (score > best) [best, bestId] = [score, id];
  }
  return bestId;
}

test("skipping hopeless candidates changes no result, and skips most of them", () => {
  let blocks = 0;
  const inner = philoxDraws(3);
  const counting: Draws = { maximum: inner.maximum, block: (...args) => (blocks++, inner.block(...args)) };
  for (const size of [1, 2, 3, 5, 8, 61, 1024, 8190]) {
    for (let position = 0; position < 12; position++) {
      const logits = randomLogits(size, position);
      for (const temperature of [0.1, 0.8, 1, 2.5]) {
        const id = sample(logits, temperature, counting, 4, position, drawBlock());
        expect(id).toBe(plainSample(logits, temperature, inner, 4, position));
      }
    }
  }
  blocks = 0;
  sample(randomLogits(8192, 1), 0.5, counting, 1, 0, drawBlock());
  expect(blocks).toBeLessThan(1024);
  expect(blocks).toBeGreaterThan(0);
});

test("sampled ids follow softmax(logits / temperature): chi-square over 40,000 draws", () => {
  const logits = Float32Array.of(1, 0, -1, 2, 0.5, -0.5, 1.5);
  const temperature = 0.7;
  const weights = logits.map((l) => Math.exp(l / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  const counted = new Float64Array(7);
  const draws = philoxDraws(11);
  const block = drawBlock();
  for (let n = 0; n < 40_000; n++) {
    const id = sample(logits, temperature, draws, 1 + (n % 50), Math.floor(n / 50), block);
    counted[id] = (counted[id] ?? 0) + 1;
  }
  let chi = 0;
  counted.forEach((count, i) => {
    const expected = 40_000 * (weights[i] ?? 0) / total;
    chi += (count - expected) ** 2 / expected;
  });
  expect(chi).toBeLessThan(22.5); // 6 degrees of freedom, 0.999
});

test("neighbouring positions and steps are independent: chi-square of pairs", () => {
  const logits = new Float32Array(4);
  const block = drawBlock();
  const draws = philoxDraws(2 ** 40 + 5);
  const at = (step: number, position: number) => sample(logits, 1, draws, step, position, block);
  for (const pair of [(n: number) => [at(1, n), at(1, n + 1)], (n: number) => [at(n, 0), at(n + 1, 0)]]) {
    const cells = new Float64Array(16);
    for (let n = 0; n < 16_000; n++) {
      const [a = 0, b = 0] = pair(2 * n);
      cells[4 * a + b] = (cells[4 * a + b] ?? 0) + 1;
    }
    expect(cells.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(37.7); // 15, 0.999
  }
});

test("temperature 0 is the argmax, the first of equals", () => {
  const logits = Float32Array.of(1, 5, 5, 2);
  expect(sample(logits, 0, philoxDraws(0), 1, 0, drawBlock())).toBe(1);
  expect(argmax(logits)).toBe(1);
});

test("an id at -Infinity is never drawn", () => {
  const logits = Float32Array.of(-Infinity, 0, -Infinity, -Infinity, -Infinity, 0, -Infinity);
  const seen = new Set<number>();
  for (let position = 0; position < 200; position++) {
    seen.add(sample(logits, 5, philoxDraws(1), 1, position, drawBlock()));
  }
  expect([...seen].sort()).toEqual([1, 5]);
});

test("log probability is that of the untempered softmax", () => {
  const logits = Float32Array.of(1, 2, 3, -Infinity);
  const total = Math.exp(1) + Math.exp(2) + Math.exp(3);
  expect(logProbability(logits, 1)).toBeCloseTo(2 - Math.log(total), 12);
  expect(logProbability(Float32Array.of(1000, 1000), 0)).toBeCloseTo(-Math.LN2, 12);
});

test.each(parity.filters)(
  "top-k $top_k with top-p $top_p keeps the published ids",
  ({ top_k, top_p, logits, kept }) => {
    logits.forEach((row, i) => {
      const filtered = Float32Array.from(row);
      applyFilter(filtered, { topK: top_k, topP: top_p }, new FilterScratch(row.length));
      const survivors = [...filtered.keys()].filter((id) => filtered[id] !== -Infinity);
      expect(survivors).toEqual([...(kept[i] ?? [])].sort((a, b) => a - b));
      for (const id of survivors) expect(filtered[id]).toBe(Math.fround(row[id] ?? 0));
    });
  },
);

test("top-p counts the mass of what top-k left", () => {
  const logits = Float32Array.from([0.4, 0.3, 0.2, 0.1], Math.log);
  // Of the two left the first has 0.57 of the mass; of all four it would have 0.4.
  applyFilter(logits, { topK: 2, topP: 0.5 }, new FilterScratch(4));
  expect([...logits.keys()].filter((id) => logits[id] !== -Infinity)).toEqual([0]);
});

test("filters at their neutral values touch nothing; at least one id always survives", () => {
  const logits = randomLogits(100, 4);
  const same = logits.slice();
  applyFilter(same, { topK: 0, topP: 1 }, new FilterScratch(100));
  expect(same).toEqual(logits);
  applyFilter(same, { topK: 100, topP: 1e-9 }, new FilterScratch(100));
  expect([...same.keys()].filter((id) => same[id] !== -Infinity)).toEqual([argmax(logits)]);
});
