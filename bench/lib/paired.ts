/**
 * Two sides that drew the same prompts with the same seeds: what one scores over the other.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Picture } from "../../core/model/types.ts";
import { pairedInterval } from "../scenes/interval.ts";
import type { Metadata } from "../scenes/prompt.ts";
import { summarise, type Verdict } from "../scenes/score.ts";

/** One picture by one side, judged. */
export interface JudgedPicture {
  readonly prompt: number;
  readonly seed: number;
  readonly tag: Metadata["tag"];
  readonly verdict: Verdict;
  /** Of its pixels. */
  readonly hash: string;
}

export interface Difference {
  /** Means over kinds, in 0..1. */
  readonly base: number;
  readonly other: number;
  /** other - base, and its 95 % interval over prompts. */
  readonly difference: number;
  readonly interval: readonly [number, number];
  /** Pictures that only one side has right. */
  readonly only_base: number;
  readonly only_other: number;
}

export interface Pairing {
  readonly pictures: number;
  /** Pictures that are the same to the byte. */
  readonly identical: number;
  /** GenEval's rules, and the strict score. */
  readonly score: Difference;
  readonly strict: Difference;
}

export function hashPicture({ width, height, data }: Picture): string {
  return createHash("sha256").update(`${width}x${height}`).update(data).digest("hex");
}

/** @throws {RangeError} unless both sides drew the same prompts with the same seeds, in one order */
export function pairUp(base: readonly JudgedPicture[], other: readonly JudgedPicture[]): Pairing {
  if (base.length !== other.length) throw new RangeError(`${base.length} pictures against ${other.length}`);
  const pairs = base.map((mine, i) => {
    const theirs = other[i];
    if (theirs === undefined || theirs.prompt !== mine.prompt || theirs.seed !== mine.seed) {
      throw new RangeError(`picture ${i} is of another prompt or seed on the other side`);
    }
    return { tag: mine.tag, prompt: mine.prompt, verdicts: [mine.verdict, theirs.verdict] as const };
  });
  const difference = (right: (verdict: Verdict) => boolean, mean: "mean" | "strict"): Difference => {
    const [one, two] = [summarise(base)[mean], summarise(other)[mean]];
    const only = (side: 0 | 1) =>
      pairs.filter(({ verdicts }) => right(verdicts[side]) && !right(verdicts[1 - side] ?? verdicts[side])).length;
    return {
      base: one,
      other: two,
      difference: two - one,
      interval: pairedInterval(pairs, right),
      only_base: only(0),
      only_other: only(1),
    };
  };
  return {
    pictures: pairs.length,
    identical: base.filter(({ hash }, i) => hash === other[i]?.hash).length,
    score: difference(({ correct }) => correct, "mean"),
    strict: difference(({ strict }) => strict, "strict"),
  };
}
