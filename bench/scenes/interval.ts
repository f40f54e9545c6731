/**
 * How sure a score is: a bootstrap over prompts within their kinds, since pictures of one prompt rise and fall together.
 *
 * @module
 */
import { KINDS } from "./prompt.ts";
import { createChooser } from "./random.ts";
import type { Judged, Verdict } from "./score.ts";

export interface Drawn extends Judged {
  /** Which prompt it was drawn for; pictures of one prompt are drawn again together. */
  readonly prompt: number;
}

/** [low, high] */
export type Interval = readonly [low: number, high: number];

/** One result: its stratum, what it rises and falls with, and its value. */
export interface Valued {
  readonly tag: string;
  readonly prompt: number;
  readonly value: number;
}

const ROUNDS = 2000;

/**
 * 95 % interval of a mean over kinds, [low, high] in 0..1. The same results give the same interval.
 *
 * ```ts
 * const [low, high] = interval(drawn, (verdict) => verdict.strict);
 * ```
 */
export function interval(drawn: readonly Drawn[], right: (verdict: Verdict) => boolean): Interval {
  const values = drawn.map(({ tag, prompt, verdict }) => ({ tag, prompt, value: right(verdict) ? 1 : 0 }));
  return meanInterval(values, KINDS) ?? [0, 1];
}

/**
 * The same for what one side scores over another on the same prompts and seeds, in -1..1; `pairs` holds both verdicts of
 * each picture.
 */
export function pairedInterval(
  pairs: readonly (Omit<Drawn, "verdict"> & { readonly verdicts: readonly [base: Verdict, other: Verdict] })[],
  right: (verdict: Verdict) => boolean,
): Interval {
  const score = (verdict: Verdict) => right(verdict) ? 1 : 0;
  const values = pairs.map(({ tag, prompt, verdicts: [base, other] }) => ({
    tag,
    prompt,
    value: score(other) - score(base),
  }));
  return meanInterval(values, KINDS) ?? [-1, 1];
}

/** 95 % interval of a mean over tags, in that order; undefined where there is nothing. */
export function meanInterval(values: readonly Valued[], tags: readonly string[]): Interval | undefined {
  const kinds = tags.map((kind) => {
    const prompts = new Map<number, { sum: number; n: number }>();
    for (const { tag, prompt, value } of values) {
      if (tag !== kind) continue;
      const before = prompts.get(prompt) ?? { sum: 0, n: 0 };
      prompts.set(prompt, { sum: before.sum + value, n: before.n + 1 });
    }
    return [...prompts.values()];
  }).filter((prompts) => prompts.length > 0);
  if (kinds.length === 0) return undefined;
  const choose = createChooser(1);
  const means = Array.from({ length: ROUNDS }, () => {
    let total = 0;
    for (const prompts of kinds) {
      let sum = 0, n = 0;
      for (let i = 0; i < prompts.length; i++) {
        const prompt = choose.pick(prompts);
        sum += prompt.sum;
        n += prompt.n;
      }
      total += sum / n;
    }
    return total / kinds.length;
  }).sort((a, b) => a - b);
  const at = (share: number) => means[Math.round(share * (ROUNDS - 1))] ?? 0;
  return [at(0.025), at(0.975)];
}
