/** Margins of decisions: what is compared, and that another margin is a miss. */
import { expect, test } from "vitest";
import { Gaps } from "../../commands/parity/gaps.ts";
import { CaseReport } from "../../commands/parity/report.ts";
import { gumbel } from "../../core/diffusion/draws.ts";

const draws = {
  maximum: 1,
  block: (_phase: number, _step: number, _position: number, group: number, out: Float64Array) => {
    for (let lane = 0; lane < 4; lane++) out[lane] = (1 + group * 4 + lane) / 10;
  },
};
const logits = Float32Array.of(1, 5, 2, 4.5, -3);
const noise = [...logits.keys()].map((id) => gumbel((1 + id) / 10));

/** The gap of the scores, largest minus second. */
function gap(scores: readonly number[]): number {
  const [first = NaN, second = NaN] = [...scores].sort((a, b) => b - a);
  return first - second;
}

function outcome(expected: number, temperature: number, scoring: "image" | "text"): boolean {
  const gaps = new Gaps(Float32Array.of(-1, expected), draws, scoring);
  gaps.add(logits, temperature, 1, 0, 1);
  const report = new CaseReport("file", "case");
  gaps.report(report, 1e-4);
  return report.ok;
}

test.each<[string, number, "image" | "text", number]>([
  ["argmax", 0, "image", 0.5],
  ["an image's temperature divides logits", 0.8, "image", gap([...logits].map((l, i) => l / 0.8 + (noise[i] ?? NaN)))],
  ["a text's multiplies noise", 0.8, "text", gap([...logits].map((l, i) => l + 0.8 * (noise[i] ?? NaN)))],
])("%s", (_name, temperature, scoring, expected) => {
  expect(outcome(expected, temperature, scoring)).toBe(true);
  expect(outcome(expected + 0.01, temperature, scoring)).toBe(false);
  expect(outcome(NaN, temperature, scoring)).toBe(false);
});

test("a case in which nothing was decided is a miss", () => {
  const report = new CaseReport("file", "case");
  new Gaps(new Float32Array(1), draws, "text").report(report, 1);
  expect(report.ok).toBe(false);
});
