/**
 * How right the model's own judge is about the model's own pictures.
 *
 * @module
 */
import { type Interval, meanInterval } from "../../bench/scenes/interval.ts";
import type { Verdict } from "../../bench/scenes/score.ts";
import { rounded } from "./evaluation.ts";
import type { JudgedRound } from "./reflect.ts";

export interface JudgeReport {
  /** Mean of the shares of right pictures that it accepts and of wrong ones that it refuses; null: there are not both. */
  readonly balanced_accuracy: number | null;
  readonly interval: Interval | null;
  readonly accepts_right: number | null;
  readonly refuses_wrong: number | null;
  readonly n: number;
  readonly wrong: number;
}

/** Against the strict judge, and against GenEval's rules, which forgive what is there in addition. */
export function judgeReport(rounds: readonly JudgedRound[]): JudgeReport & { readonly by_geneval: JudgeReport } {
  return {
    ...reportBy(rounds, ({ strict }) => strict),
    by_geneval: reportBy(rounds, ({ correct }) => correct),
  };
}

function reportBy(rounds: readonly JudgedRound[], right: (verdict: Verdict) => boolean): JudgeReport {
  const judged = rounds.filter(({ accepted }) => accepted !== null).map(({ drawn, accepted }) => {
    const truth = right(drawn.verdict);
    return { tag: truth ? "right" : "wrong", prompt: drawn.prompt, value: accepted === truth ? 1 : 0 };
  });
  const share = (tag: string) => {
    const own = judged.filter((one) => one.tag === tag);
    return own.length === 0 ? null : own.reduce((sum, { value }) => sum + value, 0) / own.length;
  };
  const [accepts, refuses] = [share("right"), share("wrong")];
  const both = accepts !== null && refuses !== null;
  return {
    balanced_accuracy: both ? rounded((accepts + refuses) / 2) : null,
    interval: both ? meanInterval(judged, ["right", "wrong"]) ?? null : null,
    accepts_right: accepts === null ? null : rounded(accepts),
    refuses_wrong: refuses === null ? null : rounded(refuses),
    n: judged.length,
    wrong: judged.filter(({ tag }) => tag === "wrong").length,
  };
}
