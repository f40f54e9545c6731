/**
 * Sheets of what a model does, one a task: the first cases of a seed, right or wrong, with the words that belong to each
 * picture.
 *
 * @module
 */
import { judgeEdit } from "../bench/scenes/edit_score.ts";
import { isFound } from "../bench/scenes/expressions.ts";
import type { Judge } from "../bench/scenes/judge.ts";
import { judgePlan } from "../bench/scenes/plans.ts";
import { KINDS } from "../bench/scenes/prompt.ts";
import { choosePrompts } from "../bench/scenes/prompts.ts";
import { isRight } from "../bench/scenes/questions.ts";
import { render } from "../bench/scenes/render.ts";
import type { World } from "../bench/scenes/world.ts";
import { answerCases } from "../commands/eval/answer.ts";
import { editCases } from "../commands/eval/edit.ts";
import { fileOf } from "../commands/eval/evaluation.ts";
import { findCases } from "../commands/eval/find.ts";
import { runTask } from "../commands/lib/run_task.ts";
import { overlayBoxes } from "../core/image/overlay.ts";
import type { Picture } from "../core/model/types.ts";
import {
  type PictureResult,
  type RoundsResult,
  type TaskName,
  type TextResult,
  thoseFound,
} from "../core/tasks/all_tasks.ts";
import type { RemoteInference } from "../core/tasks/remote.ts";

export interface Cell {
  readonly picture: Picture;
  readonly words: string;
}

export interface Sheet {
  readonly name: string;
  readonly needs: TaskName;
  readonly columns: number;
  cells(studio: Studio): Promise<readonly Cell[]>;
}

/** What sheets are made with. */
export interface Studio {
  readonly world: World;
  readonly judge: Judge;
  readonly inference: RemoteInference;
  readonly seed: number;
}

/** Rounds of a reflection, and with that pictures of its row. */
const ROUNDS = 4;

const signal = new AbortController().signal;

async function run<Result>({ inference }: Studio, task: TaskName, input: unknown): Promise<Result> {
  return (await runTask<Result>(inference, task, input, { signal })).result;
}

/** What is right is said plainly, and what is not as well. */
const mark = (right: boolean, otherwise: string) => right ? "" : ` (wrong: ${otherwise})`;

async function answers(studio: Studio): Promise<readonly Cell[]> {
  const cells: Cell[] = [];
  for (const question of answerCases(studio.world, 8, studio.seed)) {
    const picture = render(studio.world, question.scene);
    const input = { question: question.text, picture: await fileOf(picture) };
    const { text } = await run<TextResult>(studio, "answer", input);
    cells.push({ picture, words: `${question.text} ${text}${mark(isRight(text, question), question.answer)}` });
  }
  return cells;
}

async function found(studio: Studio): Promise<readonly Cell[]> {
  const cells: Cell[] = [];
  for (const { scene, expressions } of findCases(studio.world, 64, studio.seed).slice(0, 8)) {
    const picture = render(studio.world, scene), few = expressions.slice(0, 4);
    const input = { picture: await fileOf(picture), expressions: few.map(({ text }) => text) };
    const { boxes = [] } = await run<TextResult>(studio, "ground", input);
    const overlay = await overlayBoxes(picture, thoseFound(boxes));
    const words = few.map((expression, i) => {
      const box = boxes[i], color = overlay.colors.get(expression.text) ?? "not there";
      const truth = expression.box === null ? "it is not there" : expression.box.join(", ");
      return `${expression.text}: ${color}${mark(box !== undefined && isFound(box, expression, 0.5), truth)}`;
    });
    cells.push({ picture: overlay.picture, words: words.join("; ") });
  }
  return cells;
}

/** Source and result side by side. */
async function edits(studio: Studio): Promise<readonly Cell[]> {
  const cells: Cell[] = [], { world, judge, seed } = studio;
  for (const [index, edit] of editCases(world, 8, seed).entries()) {
    const source = render(world, edit.source);
    const input = { instruction: edit.instruction, picture: await fileOf(source), seed: seed + index };
    const { picture } = await run<PictureResult>(studio, "edit", input);
    const { success, reason } = judgeEdit(world, judge.see, picture, edit);
    cells.push({ picture: source, words: edit.instruction });
    cells.push({ picture, words: success ? "right" : `wrong: ${reason}` });
  }
  return cells;
}

/** The boxes of the model's plan on what it drew after it. */
async function plans(studio: Studio): Promise<readonly Cell[]> {
  const cells: Cell[] = [], { world, seed, inference } = studio;
  for (const metadata of (await choosePrompts(world, { seed, seen: false, n: 2 * KINDS.length })).slice(0, 8)) {
    const { boxes = [], malformed = [] } = await run<TextResult>(studio, "plan", { prompt: metadata.prompt, seed });
    const things = thoseFound(boxes), { valid, reason } = judgePlan(world, { boxes: things, malformed }, metadata);
    const readable = things.length > 0 && malformed.length === 0;
    const plan = things.map(({ label, xyxy: [left, top, right, bottom] }) => ({
      label,
      xyxy: [left, top, right, bottom] as [number, number, number, number],
    }));
    const drawn = await inference.draw({ prompt: metadata.prompt, seed, ...(readable ? { plan } : {}) });
    const overlay = await overlayBoxes(drawn.picture, things);
    cells.push({ picture: overlay.picture, words: `${metadata.prompt}${mark(valid, reason)}` });
  }
  return cells;
}

/** A row a prompt: its rounds, and after its last one the last again. */
async function reflections(studio: Studio): Promise<readonly Cell[]> {
  const cells: Cell[] = [], { world, judge, seed } = studio;
  const prompts = await choosePrompts(world, { seed, seen: false, n: KINDS.length });
  for (const metadata of prompts) {
    const input = { prompt: metadata.prompt, seed, rounds: ROUNDS };
    const { rounds, picture } = await run<RoundsResult>(studio, "reflect", input);
    for (let i = 0; i < ROUNDS; i++) {
      const round = rounds[i];
      const { strict, reason } = judge.judge(round?.picture ?? picture, metadata);
      const said = round === undefined ? "as before" : `${round.verdict}${strict ? "" : ` (the judge: ${reason})`}`;
      cells.push({ picture: round?.picture ?? picture, words: i === 0 ? `${metadata.prompt}: ${said}` : said });
    }
  }
  return cells;
}

export const SHEETS: readonly Sheet[] = [
  { name: "answer", needs: "answer", columns: 4, cells: answers },
  { name: "find", needs: "ground", columns: 4, cells: found },
  { name: "edit", needs: "edit", columns: 4, cells: edits },
  { name: "plan", needs: "plan", columns: 4, cells: plans },
  { name: "reflect", needs: "reflect", columns: ROUNDS, cells: reflections },
];
