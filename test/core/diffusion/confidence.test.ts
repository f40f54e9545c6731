import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Draws, PHASE, philoxDraws } from "../../../core/diffusion/draws.ts";
import { mostConfident } from "../../../core/diffusion/order/confidence.ts";

interface Case {
  readonly alg_temp: number;
  readonly confidence_temperature: number[];
  readonly probability: number[][];
  readonly picked: number[][];
  readonly uniform_draws?: number[][];
}

const { cases }: { cases: Record<string, Case> } = JSON.parse(
  readFileSync(new URL("../../fixtures/confidence_order.json", import.meta.url), "utf8"),
);

test.each(Object.keys(cases))("mmada picks the published positions, in order: %s", (name) => {
  const entry = cases[name];
  if (entry === undefined) throw new Error(`no case ${name}`);
  const draws: Draws = {
    maximum: 1,
    block(phase, step, position, group, out) {
      expect([phase, group]).toEqual([PHASE.confidence, 0]);
      out[0] = entry.uniform_draws?.[step - 1]?.[position] ?? NaN;
    },
  };
  const masked = new Set(Array.from({ length: 256 }, (_, i) => i));
  entry.picked.forEach((picked, index) => {
    const positions = Uint32Array.from(masked);
    const logP = Float64Array.from(positions, (p) => Math.log(entry.probability[index]?.[p] ?? NaN));
    const temperature = entry.alg_temp * (entry.confidence_temperature[index] ?? NaN);
    const chosen = mostConfident(positions, logP, picked.length, "mmada", temperature, draws, index + 1);
    expect([...chosen].map((i) => positions[i])).toEqual(picked);
    for (const position of picked) masked.delete(position);
  });
  expect(masked.size).toBe(0);
});

test("equal confidences go by position, and noise depends on step, seed and position only", () => {
  const positions = Uint32Array.of(30, 4, 17);
  const logP = Float64Array.of(-1, -1, -2);
  const pick = (
    temperature: number,
    seed: number,
    step: number,
  ) => [...mostConfident(positions, logP, 3, "mmada", temperature, philoxDraws(seed), step)];
  expect(pick(0, 1, 1)).toEqual([1, 0, 2]);
  expect(pick(50, 1, 1)).toEqual(pick(50, 1, 1));
  const seen = new Set(Array.from({ length: 30 }, (_, n) => pick(50, n, 1).join()));
  expect(seen.size).toBeGreaterThan(3);
  expect(new Set(Array.from({ length: 30 }, (_, n) => pick(50, 1, n).join())).size).toBeGreaterThan(3);
});

test("mask_git draws from softmax(p / T): chi-square of the first pick over 20,000 steps", () => {
  const probability = [0.9, 0.5, 0.1, 0.3];
  const temperature = 0.4;
  const weights = probability.map((p) => Math.exp(p / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  const positions = Uint32Array.of(3, 5, 7, 9);
  const logP = Float64Array.from(probability, Math.log);
  const counted = [0, 0, 0, 0];
  for (let step = 0; step < 20_000; step++) {
    const [first = 0] = mostConfident(positions, logP, 2, "mask_git", temperature, philoxDraws(6), step);
    counted[first] = (counted[first] ?? 0) + 1;
  }
  const chi = counted.reduce((sum, count, i) => {
    const expected = 20_000 * (weights[i] ?? 0) / total;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
  expect(chi).toBeLessThan(16.3); // 3 degrees of freedom, 0.999
});
