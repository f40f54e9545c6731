/**
 * Keeping a time budget: the counts of the steps to come are merged, so that fewer steps reveal all that is masked
 * (docs/design.md, "Counts").
 *
 * @module
 */

/**
 * `steps` sums of neighbours, as even in number as can be; all of `counts` when they are no more than that.
 *
 * @param steps at least 1
 */
export function mergeCounts(counts: readonly number[], steps: number): readonly number[] {
  if (!Number.isInteger(steps) || steps < 1) throw new RangeError(`counts cannot be merged into ${steps} steps`);
  if (counts.length <= steps) return counts;
  const bound = (part: number) => Math.floor((part * counts.length) / steps);
  return Array.from(
    { length: steps },
    (_, part) => counts.slice(bound(part), bound(part + 1)).reduce((sum, count) => sum + count, 0),
  );
}

/**
 * How many steps fit into what is left of a budget; at least 1, since a picture must be whole, however late.
 *
 * @param left milliseconds until the budget ends
 * @param perStep milliseconds a step, measured
 * @param tail milliseconds that the result takes after the last step, measured
 */
export function stepsWithin(left: number, perStep: number, tail: number): number {
  return Math.max(1, Math.floor((left - tail) / Math.max(perStep, 1e-3)));
}
