import { expect, test } from "vitest";
import { compareIds, excusableGap, largestDifference, ratios, spread } from "../../bench/lib/compare.ts";

const recipe = { order: [3, 1, 0, 2], counts: [1, 2, 1], guidance: 0.5 };
const wide = [1, 1, 1, 1];

test("equal ids are compared at every position", () => {
  expect(compareIds([5, 6, 7, 8], [5, 6, 7, 8], wide, recipe)).toEqual({ compared: 4, different: 0, excused: 0 });
});

test("after the first step that differs nothing is compared, and only close calls are excused", () => {
  const theirs = [9, 9, 9, 8]; // positions 1 and 0 fall in step 2, position 2 in step 3
  expect(compareIds([5, 6, 7, 8], theirs, wide, recipe)).toEqual({ compared: 3, different: 2, excused: 0 });
  const close = excusableGap(0.5) / 2;
  expect(compareIds([5, 6, 7, 8], theirs, [1, close, 1, 1], recipe)).toEqual({ compared: 3, different: 2, excused: 1 });
  expect(compareIds([5, 6, 7, 8], theirs, [close, close, 1, 1], recipe).excused).toBe(2);
});

test("pictures, spreads and ratios", () => {
  expect(largestDifference(Uint8Array.of(1, 9, 200), Uint8Array.of(2, 9, 197))).toBe(3);
  expect(() => largestDifference(Uint8Array.of(1), Uint8Array.of(1, 2))).toThrow(RangeError);
  expect(spread([3, 1, 2, 10])).toEqual({ median: 2.5, least: 1, most: 10 });
  // Round by round: the mean of each would give another figure.
  expect(ratios([4, 30, 8], [1, 10, 2])).toEqual({ median: 4, least: 3, most: 4 });
});
