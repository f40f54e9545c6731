import { expect, test } from "vitest";
import { type EditMode, editWeights, guide, guided, guideEdit } from "../../../core/diffusion/guidance.ts";

test("facts 12: drawing at w 4 is 5 c - 4 u, over the range asked for", () => {
  const out = new Float32Array(2);
  guide(Float32Array.of(9, 9, 1, 2), Float32Array.of(9, 9, 10, 20), 2, 2, 4, out);
  expect([...out]).toEqual([5 - 40, 10 - 80]);
});

test("guidance 0 is the conditional row", () => {
  const out = new Float32Array(2);
  guide(Float32Array.of(0.1, -3), Float32Array.of(7, 8), 0, 2, 0, out);
  expect(out).toEqual(Float32Array.of(0.1, -3));
});

test("facts 12: edit 1.2 / 1.4 in mode 0 is 5.28 full - 3.08 enc - 1.2 un", () => {
  const unit = (at: number) => Float32Array.from([0, 1, 2], (i) => (i === at ? 1 : 0));
  const out = new Float32Array(3);
  guideEdit(unit(0), unit(1), unit(2), 0, 3, 0, 1.2, 1.4, out);
  [5.28, -3.08, -1.2].forEach((weight, i) => expect(out[i]).toBeCloseTo(weight, 5));
});

test("modes 1 and 2 are a mean; every mode's weights sum to 1 and so does the whole", () => {
  expect(editWeights(1, 1)).toEqual([0.5, 0.5]);
  expect(editWeights(2, 3)).toEqual([0.25, 0.75]);
  expect(editWeights(3, 3)).toEqual([4, -3]);
  for (const mode of [0, 1, 2, 3] as EditMode[]) {
    const same = Float32Array.of(2.5);
    const out = new Float32Array(1);
    guideEdit(same, same, same, 0, 1, mode, 1.2, 1.4, out);
    expect(out[0]).toBeCloseTo(2.5, 5);
  }
});

test("the interval is int(aS) <= step <= int(bS), both ends included", () => {
  // test/parity's case `planned`: [0.2, 0.8] of 6 steps guides steps 1 to 4.
  const steps = [1, 2, 3, 4, 5, 6];
  expect(steps.map((step) => guided(step, 6, [0.2, 0.8]))).toEqual([true, true, true, true, false, false]);
  expect(steps.map((step) => guided(step, 6, [0.5, 0.5]))).toEqual([false, false, true, false, false, false]);
  expect(steps.every((step) => guided(step, 6))).toBe(true);
});
