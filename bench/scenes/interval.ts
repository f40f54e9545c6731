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

const ROUNDS = 2000;

/**
 * 95 % interval of a mean over kinds, [low, high] in 0..1. The same results give the same interval.
 *
 * ```ts
 * const [low, high] = interval(drawn, (verdict) => verdict.strict);
 * ```
 */
export function interval(drawn: readonly Drawn[], right: (verdict: Verdict) => boolean): readonly [number, number] {
  const kinds = KINDS.map((kind) => {
    const prompts = new Map<number, { right: number; n: number }>();
    for (const { tag, prompt, verdict } of drawn) {
      if (tag !== kind) continue;
      const sum = prompts.get(prompt) ?? { right: 0, n: 0 };
      prompts.set(prompt, { right: sum.right + (right(verdict) ? 1 : 0), n: sum.n + 1 });
    }
    return [...prompts.values()];
  }).filter((prompts) => prompts.length > 0);
  if (kinds.length === 0) return [0, 1];
  const choose = createChooser(1);
  const means = Array.from({ length: ROUNDS }, () => {
    let sum = 0;
    for (const prompts of kinds) {
      let hits = 0, n = 0;
      for (let i = 0; i < prompts.length; i++) {
        const prompt = choose.pick(prompts);
        hits += prompt.right;
        n += prompt.n;
      }
      sum += hits / n;
    }
    return sum / kinds.length;
  }).sort((a, b) => a - b);
  const at = (share: number) => means[Math.round(share * (ROUNDS - 1))] ?? 0;
  return [at(0.025), at(0.975)];
}
