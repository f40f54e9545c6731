/**
 * Every task that the inference thread knows, by name and in one shape: what a task gives is a picture, text and what
 * belongs to it, or the rounds that led to a picture.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Abilities } from "../model/abilities.ts";
import type { Box, LocBox } from "../model/boxes.ts";
import { IMAGE_ID, TOKENS } from "../model/chat_template.ts";
import type { Lexicon } from "../model/lexicon.ts";
import type { EditPlanVerb } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { answerPrompt, type AnswerState, createAnswer } from "./answer.ts";
import type { DrawTask } from "./draw.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
import { createEdit, type EditDelta, editPromptIds, type EditState } from "./edit.ts";
import { createPlan, planPrompt, type PlanState } from "./plan.ts";
import { createReflect, type RoundTrace } from "./reflect.ts";
import { foldReflect, type ReflectDelta, type ReflectState } from "./reflect_state.ts";
import { createGround, type GroundDelta, groundPromptIds, type GroundState } from "./ground.ts";
import type { Delta, Stepper, Task } from "./task.ts";
import { settledText } from "./text_stepper.ts";

export const TASKS = ["draw", "answer", "ground", "edit", "plan", "reflect"] as const;
export type TaskName = (typeof TASKS)[number];

/** Of the prompt, as it was tokenized. */
interface PromptCounts {
  readonly promptTokens: number;
  /** Those that stand for pictures; absent: none. */
  readonly seenTokens?: number;
}

export interface PictureResult extends PromptCounts {
  readonly picture: Picture;
  readonly imageTokens: number;
}

export interface FoundBox {
  readonly label: string;
  /** Of an expression. */
  readonly found?: true;
  /** [left, top, right, bottom] in pixels of the source, or of the picture to draw. */
  readonly xyxy: readonly [number, number, number, number];
  /** As the model said it. */
  readonly loc: LocBox;
}

/** An expression that is not in the picture. */
export interface NoBox {
  readonly label: string;
  readonly found: false;
}

/** Those of a result that are there. */
export function thoseFound(boxes: readonly (FoundBox | NoBox)[] = []): readonly FoundBox[] {
  return boxes.flatMap((box) => box.found === false ? [] : [box]);
}

export interface TextResult extends PromptCounts {
  readonly text: string;
  readonly textTokens: number;
  /** It has no end of its own: it was as long as it might be. */
  readonly truncated: boolean;
  readonly boxes?: readonly (FoundBox | NoBox)[];
  /** Of a plan: pieces that are no object with its box. */
  readonly malformed?: readonly string[];
  /** Of an edit's plan; null: it does not begin as one. */
  readonly verb?: EditPlanVerb | null;
}

/** The picture is the last round's. */
export interface RoundsResult extends PictureResult {
  readonly rounds: readonly RoundTrace[];
  readonly textTokens: number;
}

export type TaskResult = PictureResult | TextResult | RoundsResult;

/** A task over one model. Its states are data: they travel between threads. */
export interface ThreadTask {
  start(input: unknown, model: Model): unknown;
  open(state: unknown, model: Model): Promise<Stepper>;
  result(state: unknown, model: Model): Promise<TaskResult>;
  /** The text that will not change any more; absent: there is none before the end. */
  text?(state: unknown, model: Model): string;
}

export type ThreadTasks = Readonly<Record<TaskName, ThreadTask>>;

/**
 * @param lexicon what plans and edits may be about; null: anything
 * @param feedback whether the model was trained to draw after feedback
 */
export function allTasks(draw: DrawTask, lexicon: Lexicon | null = null, feedback = true): ThreadTasks {
  const answer = createAnswer();
  const ground = createGround();
  const edit = createEdit(lexicon);
  const plan = createPlan(lexicon);
  const reflect = createReflect(draw, feedback);
  return {
    draw: over(draw, draw.result),
    answer: {
      ...over(answer, async (state, model) => {
        const { text, ids } = await answer.result(state, model);
        const truncated = ids.length === state.text.settings.length;
        return { text, truncated, textTokens: ids.length, ...countsOf(answerPrompt(state, model)) };
      }),
      text: (state, model) => settledText((state as AnswerState).text, model.tokenizer),
    },
    ground: over(ground, async (state, model) => {
      const found = await ground.result(state, model);
      const boxes = found.map((one) => {
        const { expression: label } = one;
        if (!one.found) return { label, found: false } as const;
        return { label, found: true, xyxy: inside(one.box, state.picture), loc: one.loc } as const;
      });
      const text = boxes.map((one) => `${one.label}: ${one.found ? `[${one.xyxy.join(", ")}]` : "not there"}`).join(
        "\n",
      );
      return {
        text,
        boxes,
        truncated: false,
        textTokens: 4 * boxes.length,
        ...countsOf(groundPromptIds(state, model)),
      };
    }),
    edit: over(edit, async (state, model) => {
      const { picture, ids } = await edit.result(state, model);
      // The source stands in the prompt twice: as the tower sees it, and as VQ tokens.
      const source = model.tokenizer.id(TOKENS.sourceImage);
      return { picture, imageTokens: ids.length, ...countsOf(editPromptIds(state, model), [IMAGE_ID, source]) };
    }),
    plan: {
      ...over(plan, async (state, model) => {
        const { ids, promptTokens: _, steps: __, ...found } = await plan.result(state, model);
        const truncated = ids.length === state.text.settings.length;
        return { ...found, truncated, textTokens: ids.length, ...countsOf(planPrompt(state.planned, model)) };
      }),
      text: (state, model) => settledText((state as PlanState).text, model.tokenizer),
    },
    reflect: over(reflect, reflect.result),
  };
}

/** How each task's states take up what its steppers find; pure. */
export const FOLDS: Readonly<Record<TaskName, (state: unknown, delta: Delta) => unknown>> = {
  draw: (state, delta) => foldDraw(state as DrawState, delta),
  answer: (state, delta) => createAnswer().fold(state as AnswerState, delta),
  ground: (state, delta) => createGround().fold(state as GroundState, delta as GroundDelta),
  edit: (state, delta) => createEdit().fold(state as EditState, delta as EditDelta),
  plan: (state, delta) => createPlan().fold(state as PlanState, delta),
  reflect: (state, delta) => foldReflect(state as ReflectState, delta as ReflectDelta),
};

/** What each takes beside drawing. */
const NEEDS: Readonly<Record<TaskName, readonly (keyof Abilities)[]>> = {
  draw: [],
  answer: ["words"],
  ground: ["words", "sight"],
  edit: ["sight"],
  plan: ["words"],
  reflect: ["words", "sight"],
};

/** What the weights of a folder can do of what they were `trained` for. @param trained see generation_file.ts */
export function tasksFor(abilities: Abilities, trained: readonly TaskName[] = TASKS): readonly TaskName[] {
  return TASKS.filter((name) => trained.includes(name) && NEEDS[name].every((need) => abilities[need]));
}

/** @throws {UnmaskError} `task_unknown`, `task_not_supported` */
export function refuseTask(name: string, able: readonly TaskName[], model: string): TaskName {
  const known = TASKS.find((task) => task === name);
  if (known !== undefined && able.includes(known)) return known;
  if (known === undefined) {
    throw new UnmaskError({
      code: "task_unknown",
      message: "there is no task of that name",
      fix: `use ${able.join(", ")}`,
      param: "task",
    });
  }
  const missing = NEEDS[known].map((need) => `the ${need}`).join(" or ");
  throw new UnmaskError({
    code: "task_not_supported",
    message:
      `the model ${model} cannot ${known}: it was not trained for that, or its folder holds no trained weights for ` +
      `${missing} that it takes`,
    fix: `serve a model that can; this one does: ${able.join(", ")}`,
    param: "task",
  });
}

/** The kind of a run parsed the input, and its own codec read the state. */
function over<I, S, R, D extends Delta>(
  task: Task<I, S, R, Model, D>,
  result: (state: S, model: Model) => Promise<TaskResult>,
): ThreadTask {
  return {
    start: (input, model) => task.start(input as I, model),
    open: (state, model) => task.open(state as S, model),
    result: (state, model) => result(state as S, model),
  };
}

function countsOf(prompt: Int32Array, pictures: readonly number[] = [IMAGE_ID]): PromptCounts {
  return { promptTokens: prompt.length, seenTokens: prompt.filter((id) => pictures.includes(id)).length };
}

/** Corners in order, whole pixels, within the picture: the model may point into the padding of its square. */
function inside(
  { x1, y1, x2, y2 }: Box,
  { width, height }: Picture,
): readonly [number, number, number, number] {
  const within = (value: number, most: number) => Math.min(most, Math.max(0, Math.round(value)));
  const [left, right] = [within(Math.min(x1, x2), width), within(Math.max(x1, x2), width)];
  const [top, bottom] = [within(Math.min(y1, y2), height), within(Math.max(y1, y2), height)];
  return [left, top, right, bottom];
}
