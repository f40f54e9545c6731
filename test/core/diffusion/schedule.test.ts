import { expect, test } from "vitest";
import { counts, curve, type ScheduleName, SCHEDULES } from "../../../core/diffusion/schedule.ts";
import { decay, type DecayName } from "../../../core/diffusion/temperature.ts";
import { UnmaskError } from "../../../core/errors.ts";
import { parity } from "./parity.ts";

test.each(parity.counts)("counts of $schedule $shift over $n in $steps steps are the published ones", (entry) => {
  const name = (entry.schedule ?? "none") as ScheduleName;
  expect(counts(entry.n, entry.steps, name, entry.shift ?? 1)).toEqual(entry.counts);
});

test("facts 12: 4096 positions in 16 steps at shift 5", () => {
  expect(counts(4096, 16, "shift", 5)).toEqual(
    [54, 60, 67, 75, 86, 97, 113, 131, 155, 186, 228, 284, 366, 488, 682, 1024],
  );
});

test("a count is the floor of an fp32 product: 0.7 x 100 is 70 there, and 69.99 in fp64 of the same fp32 0.7", () => {
  expect(Math.floor(Math.fround(0.7) * 100)).toBe(69);
  expect(counts(100, 10, "linear", 1)).toEqual(Array(10).fill(10));
});

test("the shift curve rounds each operation to fp32", () => {
  const register = new Float32Array(1);
  const rounded = (value: number) => {
    register[0] = value;
    return register[0];
  };
  let inDoubles = 0;
  for (let i = 0; i <= 1000; i++) {
    const t = rounded(i / 1000);
    const below = rounded(1 + rounded(rounded(2.3) * t));
    expect(curve("shift", t, 3.3)).toBe(rounded(rounded(rounded(3.3) * t) / below));
    if (curve("shift", t, 3.3) !== rounded((3.3 * t) / (1 + 2.3 * t))) inDoubles++;
  }
  expect(inDoubles).toBeGreaterThan(50);
});

test("what the least of one a step costs is taken from the front of the list, before it is reversed", () => {
  // Cosine, 8 positions in 5 steps: k = 0 2 5 7 8, c = 1 2 3 2 1, one too many: the first entry above 1 loses it.
  expect(counts(8, 5, "cosine", 1)).toEqual([1, 2, 3, 1, 1]);
});

test("every schedule reveals every position once, and only `none` lets a step go empty", () => {
  for (const name of SCHEDULES) {
    for (const positions of [1, 2, 16, 255, 256, 1024, 4096]) {
      for (const steps of [1, 2, 3, 7, 20, 64, 256]) {
        for (const shift of name === "shift" ? [0.3, 1, 3, 7] : [1]) {
          const list = counts(positions, steps, name, shift);
          expect(list.reduce((a, b) => a + b, 0), `${name} ${positions} ${steps} ${shift}`).toBe(positions);
          expect(list.length).toBe(name === "none" ? steps : Math.min(steps, positions));
          if (name !== "none") expect(Math.min(...list)).toBeGreaterThan(0);
        }
      }
    }
  }
});

test("curves run from 0 (exp: 1e-4) to 1", () => {
  for (const name of SCHEDULES) {
    if (name === "none") continue;
    expect(curve(name, 0, 3)).toBeCloseTo(name === "exp" ? 1e-4 : 0, 7);
    expect(curve(name, 1, 3)).toBe(1);
  }
});

test.each([[0, 4, 5], [16, 0, 5], [16, 1.5, 5], [16, 4, 0], [16, 4, NaN]])("refuses %d %d %d", (n, steps, shift) => {
  expect(() => counts(n, steps, "shift", shift)).toThrow(UnmaskError);
});

test.each(parity.temperatures)("temperatures $schedule_temp / $schedule_temp_samp are the published ones", (entry) => {
  const series = (name: string, minimum: number) =>
    Array.from({ length: entry.steps }, (_, i) => decay(name as DecayName, i + 1, entry.steps, minimum, entry.shift));
  expectWithinOneUlp(series(entry.schedule_temp, entry.min_temperature), entry.confidence_temperature);
  expectWithinOneUlp(series(entry.schedule_temp_samp, entry.min_temperature_samp), entry.sampling_temperature);
});

test("no decay is 1 at every step", () => {
  expect([1, 2, 3].map((step) => decay("none", step, 3, 0.1, 5))).toEqual([1, 1, 1]);
});

/** Of fp32, below 1. */
function expectWithinOneUlp(actual: number[], expected: number[]) {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => expect(Math.abs((actual[i] ?? NaN) - value)).toBeLessThanOrEqual(2 ** -24));
}
