/**
 * Worker processes that ended though nobody had told them to. Each is a violation, but for those that were started while
 * the store was away: they say so and leave, as they shall, and are started again.
 *
 * @module
 */
import type { Violations } from "./oracle.ts";
import { lastLines, type UnaskedEnd } from "./workers.ts";

/**
 * @param outages when the store was away, in Unix ms
 * @returns the ends that are excused
 */
export function judgeEnds(
  ends: readonly UnaskedEnd[],
  outages: readonly { readonly from: number; readonly to: number }[],
  violations: Violations,
): readonly string[] {
  const excused: string[] = [];
  for (const { name, how, born, ended, worked, said } of ends) {
    const line = `${name} ended with ${how} after ${ended - born} ms: ${lastLines(said)}`;
    const away = outages.some(({ from, to }) => from <= ended && to >= born);
    if (!worked && away && said.includes("(store_unreachable)")) excused.push(line);
    else violations.add("worker_ended", line);
  }
  return excused;
}
