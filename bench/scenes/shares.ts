/**
 * Shares of right results by kind and by split, each mean with its 95 % interval.
 *
 * @module
 */
import { type Split, SPLITS } from "./combinations.ts";
import { type Interval, meanInterval } from "./interval.ts";

export interface Outcome {
  readonly kind: string;
  readonly split: Split;
  /** Outcomes of one scene rise and fall together. */
  readonly group: number;
  readonly right: boolean;
}

export interface Share {
  /** Mean of the kinds that occur; null where none does. */
  readonly score: number | null;
  readonly interval: Interval;
  readonly kinds: Readonly<Record<string, number>>;
  readonly n: number;
}

export interface Shares extends Share {
  readonly seen: Share;
  readonly held_out: Share;
}

/** @param kinds in the order of the report */
export function shareOf(outcomes: readonly Outcome[], kinds: readonly string[]): Share {
  const shares = kinds.flatMap((kind): [string, number][] => {
    const own = outcomes.filter((outcome) => outcome.kind === kind);
    return own.length === 0 ? [] : [[kind, own.filter(({ right }) => right).length / own.length]];
  });
  const values = outcomes.map(({ kind, group, right }) => ({ tag: kind, prompt: group, value: right ? 1 : 0 }));
  return {
    score: shares.length === 0 ? null : shares.reduce((sum, [, share]) => sum + share, 0) / shares.length,
    interval: meanInterval(values, kinds) ?? [0, 1],
    kinds: Object.fromEntries(shares),
    n: outcomes.length,
  };
}

/** All together, and each split by itself. */
export function sharesOf(outcomes: readonly Outcome[], kinds: readonly string[]): Shares {
  const [seen, held_out] = SPLITS.map((split) => shareOf(outcomes.filter((own) => own.split === split), kinds));
  if (seen === undefined || held_out === undefined) throw new RangeError("there are two splits");
  return { ...shareOf(outcomes, kinds), seen, held_out };
}

/** What one way scores over another on the same cases, as a mean of kinds, -1..1. */
export function gainOf(
  base: readonly Outcome[],
  other: readonly Outcome[],
  kinds: readonly string[],
): { readonly gain: number; readonly gain_interval: Interval } {
  if (base.length !== other.length) throw new RangeError(`${base.length} and ${other.length} outcomes are no pairs`);
  const values = base.map(({ kind, group, right }, i) => ({
    tag: kind,
    prompt: group,
    value: Number(other[i]?.right) - Number(right),
  }));
  return {
    gain: (shareOf(other, kinds).score ?? 0) - (shareOf(base, kinds).score ?? 0),
    gain_interval: meanInterval(values, kinds) ?? [-1, 1],
  };
}
