/**
 * Two ways of drawing the same prompts with the same seeds: what one scores over the other, strictly.
 *
 * @module
 */
import { type Drawn, type Interval, pairedInterval } from "../../bench/scenes/interval.ts";
import { summarise } from "../../bench/scenes/score.ts";
import { rounded } from "./evaluation.ts";

export interface Compared {
  /** Mean over kinds of pictures that are not strictly right. */
  readonly strict_errors: { readonly base: number; readonly own: number };
  /** Share of the base's strict errors that are gone; null: it had none. Negative: there are more. */
  readonly removed: number | null;
  /** Of the strict score, with its 95 % interval by prompt. */
  readonly gain: number;
  readonly gain_interval: Interval;
}

/** @param base and `own`: the same jobs in the same order */
export function compared(base: readonly Drawn[], own: readonly Drawn[]): Compared {
  if (base.length !== own.length) throw new RangeError(`${base.length} and ${own.length} pictures are no pairs`);
  const pairs = base.map(({ tag, prompt, verdict }, i) => {
    const other = own[i];
    if (other === undefined || other.prompt !== prompt) throw new RangeError("pairs are of one prompt");
    return { tag, prompt, verdicts: [verdict, other.verdict] as const };
  });
  const [without, with_] = [base, own].map((drawn) => 1 - summarise(drawn).strict);
  if (without === undefined || with_ === undefined) throw new RangeError("there are two ways");
  return {
    strict_errors: { base: rounded(without), own: rounded(with_) },
    removed: without === 0 ? null : rounded(1 - with_ / without),
    gain: rounded(without - with_),
    gain_interval: pairedInterval(pairs, ({ strict }) => strict),
  };
}
