/**
 * Whether two implementations drew the same picture, and by how much one is faster.
 *
 * @module
 */
import type { Recipe } from "./runtime.ts";

/**
 * Logits of two libraries differ by rounding: below 2e-5 on scenes, and guidance multiplies that by 1 + 2w. A choice whose
 * winner is ahead by less than this may fall either way.
 */
export function excusableGap(guidance: number): number {
  return 4 * 2e-5 * (1 + 2 * guidance);
}

export interface IdComparison {
  /** Positions compared: all, or those up to and with the first step that differs, after which the inputs differ too. */
  readonly compared: number;
  readonly different: number;
  /** Of the different ones, those whose winner was ahead by less than rounding. */
  readonly excused: number;
}

/** @param gaps how far each position's winner was ahead of the second, in logits, in the other implementation */
export function compareIds(
  ours: readonly number[],
  theirs: readonly number[],
  gaps: readonly number[],
  { order, counts, guidance }: Pick<Recipe, "order" | "counts" | "guidance">,
): IdComparison {
  let at = 0;
  for (const count of counts) {
    const positions = order.slice(at, at + count);
    at += count;
    const different = positions.filter((position) => ours[position] !== theirs[position]);
    if (different.length === 0) continue;
    const excused = different.filter((position) => (gaps[position] ?? Infinity) < excusableGap(guidance));
    return { compared: at, different: different.length, excused: excused.length };
  }
  return { compared: at, different: 0, excused: 0 };
}

/** The largest difference of two pictures' bytes. */
export function largestDifference(ours: Uint8Array, theirs: Uint8Array): number {
  if (ours.length !== theirs.length) throw new RangeError(`pictures of ${ours.length} and ${theirs.length} bytes`);
  return ours.reduce((most, value, i) => Math.max(most, Math.abs(value - (theirs[i] ?? 0))), 0);
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @throws {RangeError} for an empty list */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [least, most] = [sorted[0], sorted.at(-1)];
  const middle = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  if (least === undefined || most === undefined) throw new RangeError("a spread needs values");
  return { median: ((middle[0] ?? 0) + (middle[1] ?? 0)) / 2, least, most };
}

/** Theirs over ours round by round: what both did under the same conditions of the machine. */
export function ratios(theirs: readonly number[], ours: readonly number[]): Spread {
  return spread(theirs.map((seconds, round) => seconds / (ours[round] ?? NaN)));
}
