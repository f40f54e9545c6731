/**
 * GenEval's score and the strict one of pictures that were drawn, and how they are told.
 *
 * @module
 */
import { type Drawn, interval } from "../../bench/scenes/interval.ts";
import { summarise } from "../../bench/scenes/score.ts";
import type { Output } from "../lib/command.ts";
import { share } from "./report.ts";

/** Both scores, by kind, with their intervals. */
export function scoresOf(drawn: readonly Drawn[]) {
  return {
    ...summarise(drawn),
    interval: interval(drawn, ({ correct }) => correct),
    strict_interval: interval(drawn, ({ strict }) => strict),
  };
}

export function printScores({ stderr }: Output, scores: ReturnType<typeof scoresOf>): void {
  const strict = new Map(Object.entries(scores.strict_kinds));
  stderr(`${"kind".padEnd(14)} right  strict\n`);
  for (const [kind, right] of Object.entries(scores.kinds)) {
    stderr(`${kind.padEnd(14)} ${share(right)}  ${share(strict.get(kind))}\n`);
  }
  stderr(`${"mean".padEnd(14)} ${share(scores.mean)}  ${share(scores.strict)}   (${scores.n} pictures)\n`);
}
