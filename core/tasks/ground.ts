/**
 * Grounding: expressions and a picture to a box each, in one forward or in steps (facts 6.6), as a step machine.
 *
 * @module
 */
import { z } from "zod";
import { type Box, boxFromLoc, type LocBox } from "../model/boxes.ts";
import { checkPrompt } from "../model/lexicon.ts";
import { groundListText, groundOneText, groundPrompt } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { requireVision, viewsOf } from "../model/vision.ts";
import { refuseTextLength } from "./draw_refusals.ts";
import { fixedIds, locBoxes, PUBLISHED_PER_STEP } from "./ground_boxes.ts";
import { groundReaderFor } from "./ground_reader.ts";
import type { Delta, Stepper, Task } from "./task.ts";
import { pictureInput } from "./task_input.ts";

export const groundInput = z.strictObject({
  picture: pictureInput,
  /** What to find; all boxes come out of the same forwards. */
  expressions: z.array(z.string()).min(1).max(64),
  /** Forwards; between them coordinates are fixed as context. @default {1} */
  steps: z.int().min(1).max(16).optional(),
  /** Coordinates that are fixed after a forward, surest first. @default {2}, as published */
  perStep: z.int().min(1).max(256).optional(),
});

export type GroundInput = z.infer<typeof groundInput>;

export interface GroundState {
  readonly picture: Picture;
  readonly expressions: readonly string[];
  readonly steps: number;
  readonly perStep: number;
  /** Forwards done. */
  readonly step: number;
  /** LOC number by coordinate, x1 y1 x2 y2 a box: what was fixed as context. */
  readonly fixed: Readonly<Record<number, number>>;
  /** The last forward's LOC number of every coordinate; empty before the first. */
  readonly best: readonly number[];
}

/** `positions` and `ids`: the coordinates that this forward fixed, and their LOC numbers. */
export interface GroundDelta extends Delta {
  /** LOC number of every coordinate, as this forward sees it. */
  readonly best: readonly number[];
}

export type GroundedExpression =
  | {
    readonly expression: string;
    readonly found: true;
    /** As the model said it; corners in any order. */
    readonly loc: LocBox;
    /** Pixels of the picture; may lie in the padding of its square. */
    readonly box: Box;
  }
  /** It is not in the picture. */
  | { readonly expression: string; readonly found: false };

export type GroundTask = Task<GroundInput, GroundState, readonly GroundedExpression[], Model, GroundDelta>;

/** `start` throws what `checkPrompt` throws, `part_missing` (no vision tower) and `prompt_too_long`. */
export function createGround(): GroundTask {
  return {
    name: "ground",
    input: groundInput,
    start,
    open,
    fold: foldGround,
    done: ({ step, steps }) => step >= steps,
    result: (state, model) => Promise.resolve(result(state, model)),
  };
}

function start(input: GroundInput, model: Model): GroundState {
  const { picture, steps = 1, perStep = PUBLISHED_PER_STEP } = input;
  const expressions = input.expressions.map((expression) => checkPrompt(expression, null));
  const state = { picture, expressions, steps, perStep, step: 0, fixed: {}, best: [] };
  refuseTextLength(promptOf(state, model).ids.length, 0, model);
  return state;
}

/** The prompt as it was tokenized, `IMAGE_ID` where the tower's tokens stand. */
export function groundPromptIds(state: GroundState, model: Model): Int32Array {
  return promptOf(state, model).ids;
}

/** One expression has the published prompt for one, several that of a list. */
function promptOf({ picture, expressions }: GroundState, { config, tokenizer }: Model) {
  const tokens = viewsOf(requireVision(config), picture, "tiles").order.length;
  const [first = ""] = expressions;
  return groundPrompt(expressions.length === 1 ? groundOneText(first) : groundListText(expressions), tokens, tokenizer);
}

async function open(from: GroundState, model: Model): Promise<Stepper<GroundDelta>> {
  const prompt = promptOf(from, model);
  const features = await model.understanding.look(from.picture, "tiles");
  const reader = groundReaderFor(model.understanding, prompt.maskPositions);
  let state = from;
  let closed = false;
  return {
    async step() {
      if (closed) throw new RangeError("this stepper is closed");
      if (state.step >= state.steps) return null;
      const fixed = new Map(Object.entries(state.fixed).map(([index, value]) => [Number(index), value]));
      const ids = fixedIds(prompt, model.tokenizer, fixed);
      const { best, surest } = await reader.read({ ids, features }, state.step);
      // What the last forward would fix is context for nothing.
      const open = state.step + 1 < state.steps ? surest.filter((index) => !fixed.has(index)) : [];
      const chosen = open.slice(0, state.perStep);
      const delta: GroundDelta = {
        step: state.step + 1,
        positions: Uint32Array.from(chosen),
        ids: Uint32Array.from(chosen, (index) => best[index] ?? 0),
        best: [...best],
      };
      state = foldGround(state, delta);
      return delta;
    },
    close() {
      closed = true;
      reader.close();
    },
  };
}

/** Pure. @throws {RangeError} for a delta of another step */
function foldGround(state: GroundState, { step, positions, ids, best }: GroundDelta): GroundState {
  if (step !== state.step + 1) throw new RangeError(`step ${step} does not follow step ${state.step}`);
  const fixed = { ...state.fixed };
  positions.forEach((index, i) => {
    if (fixed[index] !== undefined) throw new RangeError(`coordinate ${index} was fixed before`);
    fixed[index] = ids[i] ?? 0;
  });
  return { ...state, step, fixed, best };
}

function result(state: GroundState, { config }: Model): readonly GroundedExpression[] {
  if (state.step < state.steps) throw new RangeError(`${state.steps - state.step} forwards are left`);
  const boxes = locBoxes(state.best);
  return state.expressions.map((expression, index) => {
    const loc = boxes[index];
    if (loc === undefined) throw new RangeError(`no box for expression ${index}`);
    if (isNowhere(loc)) return { expression, found: false };
    return { expression, found: true, loc, box: boxFromLoc(loc, state.picture, config.locTokens) };
  });
}

/** How training writes what is not there: the empty box at the origin. */
function isNowhere(loc: LocBox): boolean {
  return loc.every((number) => number === 0);
}
