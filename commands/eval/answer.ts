/**
 * `eval answer`: questions about scenes, exact answers.
 *
 * @module
 */
import { type Split, SPLITS } from "../../bench/scenes/combinations.ts";
import { createQuestions, isRight, type Question, QUESTION_KINDS } from "../../bench/scenes/questions.ts";
import { render } from "../../bench/scenes/render.ts";
import { type Outcome, sharesOf } from "../../bench/scenes/shares.ts";
import type { World } from "../../bench/scenes/world.ts";
import type { TextResult } from "../../core/tasks/all_tasks.ts";
import { type Evaluation, fileOf, rounded, runOn, saveLines, savePicture, throughAll } from "./evaluation.ts";
import { countOf } from "./flags.ts";
import { printShares } from "./report.ts";

const QUESTIONS = 1000;

/** Kinds and splits in turn, the same for the same seed. */
export function casesInTurn<Kind extends string, Case>(
  kinds: readonly Kind[],
  n: number,
  make: (kind: Kind, split: Split) => Case,
): Case[] {
  return Array.from({ length: n }, (_, i) => {
    const kind = kinds[i % kinds.length], split = SPLITS[Math.floor(i / kinds.length) % SPLITS.length];
    if (kind === undefined || split === undefined) throw new RangeError("there are no kinds");
    return make(kind, split);
  });
}

export function answerCases(world: World, n: number, seed: number): Question[] {
  return casesInTurn(QUESTION_KINDS, n, createQuestions(world, seed));
}

export const answerEvaluation: Evaluation = {
  takes: ["n", "seed", "out"],
  needs: () => ["answer"],
  check: (flags) => void countOf(flags, "n", QUESTIONS),
  async run(bench) {
    const { world, flags, output } = bench, seed = flags.seed ?? 0;
    const questions = answerCases(world, countOf(flags, "n", QUESTIONS), seed);
    const answers = await throughAll(bench, "answering", questions, async (question, index) => {
      const picture = render(world, question.scene);
      const { result, forwards, seconds } = await runOn<TextResult>(bench, "answer", {
        question: question.text,
        picture: await fileOf(picture),
      });
      const right = isRight(result.text, question);
      if (!right) await savePicture(bench, index, question.kind, picture);
      return { said: result.text, right, forwards, seconds };
    });
    const outcomes = questions.map(({ kind, split }, group): Outcome => ({
      kind,
      split,
      group,
      right: answers[group]?.right ?? false,
    }));
    await saveLines(
      bench,
      "answers.jsonl",
      questions.map(({ kind, split, text, answer }, i) => ({ kind, split, question: text, answer, ...answers[i] })),
    );
    const shares = sharesOf(outcomes, QUESTION_KINDS);
    printShares(output, "answer", shares);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      ...shares,
      seed,
      forwards: rounded(mean(answers.map(({ forwards }) => forwards))),
      seconds_each: rounded(mean(answers.map(({ seconds }) => seconds))),
    };
  },
};
