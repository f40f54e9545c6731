/**
 * Planning: a caption, or an instruction and its picture, to boxes (facts 3.3, 6.7), as a step machine. The boxes may be
 * changed and sent as the plan of a draw or an edit.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import type { Size } from "../model/boxes.ts";
import { encodeWithImages, TOKENS } from "../model/chat_template.ts";
import { checkInstruction, checkPrompt, type Lexicon } from "../model/lexicon.ts";
import { cleanPlan, editPlanText, microString, planText } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { requireVision, viewsOf } from "../model/vision.ts";
import { refuseTextLength } from "./draw_refusals.ts";
import { type FoundPlan, readPlan } from "./plan_reader.ts";
import type { Stepper, Task } from "./task.ts";
import { missing, parseInput, pictureInput } from "./task_input.ts";
import { textOptions, textSettings } from "./text_options.ts";
import { foldText, startText, textDone, textIds, type TextState, TextStepper } from "./text_stepper.ts";

const schema = z.strictObject({
  /** What to draw. Either this, or an instruction and its picture. */
  prompt: z.string().optional(),
  /** Micro-conditioning of the picture to draw (facts 3.4); null: that of a picture of the native size. */
  micro: z.string().max(400).nullable().optional(),
  /** What to edit. */
  instruction: z.string().optional(),
  /** The picture to edit. */
  picture: pictureInput.optional(),
  ...textOptions,
});

export type PlanTaskInput = z.infer<typeof schema>;

/** What a plan is for. The picture is kept as it came; its tokens are computed again on resume. */
export type Planned =
  | { readonly for: "draw"; readonly prompt: string; readonly micro: string | null }
  | { readonly for: "edit"; readonly instruction: string; readonly picture: Picture };

export interface PlanState {
  readonly planned: Planned;
  readonly text: TextState;
}

export interface PlanResult extends FoundPlan {
  readonly ids: Uint32Array;
  readonly promptTokens: number;
  /** Forwards that were run. */
  readonly steps: number;
}

export type PlanTask = Task<PlanTaskInput, PlanState, PlanResult, Model>;

/** Last counter word of a plan's random numbers: none of those of the drawing that follows under the same seed. */
export const PLAN_ROUND = 1;

/**
 * Of a drawing's plan: the published temperature, and half as many tokens again as published, for which four things of
 * long names are too many. [exp] ends a plan early, so that it costs no forward.
 */
export const PLAN_DEFAULTS = { length: 96, temperature: 0.5 };

/** @throws {UnmaskError} what `parseInput` throws; `prompt_missing`, `picture_missing`, `option_unused` */
export function parsePlanInput(value: unknown): PlanTaskInput {
  const input = parseInput(schema, value, "a plan");
  const { prompt, instruction, picture, micro } = input;
  if (prompt === undefined && instruction === undefined) throw missing("prompt");
  if (instruction !== undefined) {
    if (prompt !== undefined) throw unused("prompt", "beside an instruction");
    if (micro !== undefined) throw unused("micro", "beside an instruction");
    if (picture === undefined) throw missing("picture");
  } else if (picture !== undefined) throw unused("picture", "without an instruction");
  return input;
}

/**
 * `start` throws what `parsePlanInput`, `checkPrompt` and `checkInstruction` throw and `part_missing` (no vision tower),
 * `block_length_invalid`, `schedule_invalid`, `prompt_too_long`.
 *
 * @param lexicon what prompts may say; null: anything
 */
export function createPlan(lexicon: Lexicon | null = null): PlanTask {
  return {
    name: "plan",
    input: schema,
    start: (input, model) => start(parsePlanInput(input), model, lexicon),
    open,
    fold: (state, delta) => ({ ...state, text: foldText(state.text, delta) }),
    done: ({ text }) => textDone(text),
    result: (state, model) => Promise.resolve(result(state, model)),
  };
}

function start(input: PlanTaskInput, model: Model, lexicon: Lexicon | null): PlanState {
  const { prompt = "", micro = null, instruction, picture, ...options } = input;
  const planned: Planned = instruction === undefined || picture === undefined
    ? { for: "draw", prompt: checkPrompt(prompt, lexicon), micro }
    : { for: "edit", instruction: checkInstruction(instruction, lexicon), picture };
  const ends = planEnds(model);
  // As published: plans of drawings are drawn, those of edits the likeliest.
  const defaults = planned.for === "draw" ? { ...PLAN_DEFAULTS, ends } : { ...PLAN_DEFAULTS, temperature: 0, ends };
  const settings = textSettings(options, defaults, model);
  const state = { planned, text: startText(settings, model.config.maskTokenId) };
  refuseTextLength(planPrompt(planned, model).length, settings.length, model);
  return state;
}

/** [exp] is where the picture comes; what follows it is no plan. */
export function planEnds({ tokenizer, config }: Model): readonly number[] {
  return [tokenizer.id(TOKENS.expand), tokenizer.id(TOKENS.endOfTurn), config.endTokenId];
}

/** The prompt as it is tokenized, `IMAGE_ID` where the tower's tokens stand; from text each time. */
export function planPrompt(planned: Planned, { tokenizer, config }: Model): Int32Array {
  if (planned.for === "draw") {
    const { nativeResolution: side } = config;
    const micro = planned.micro ?? microString({ width: side, height: side });
    return encodeWithImages(planText(planned.prompt, micro), tokenizer);
  }
  const tokens = viewsOf(requireVision(config), planned.picture, "tiles").order.length;
  return encodeWithImages(editPlanText(planned.instruction), tokenizer, [tokens]);
}

async function open({ planned, text }: PlanState, model: Model): Promise<Stepper> {
  const ids = planPrompt(planned, model);
  const features = planned.for === "draw" ? {} : { features: await model.understanding.look(planned.picture, "tiles") };
  return new TextStepper(text, model.understanding, { prompt: { ids, ...features }, round: PLAN_ROUND });
}

/** The plan as it stands before a picture (facts 6.7): what was said, and [exp] if the model came to it. */
export function saidPlan(text: TextState, { tokenizer }: Model): string {
  const ids = textIds(text);
  const expanded = text.sequence.ids[ids.length] === tokenizer.id(TOKENS.expand);
  // Not the control tokens alone: what a folder calls special is its own matter, and boxes may be.
  return cleanPlan(tokenizer.decode(ids)) + (expanded ? TOKENS.expand : "");
}

function result({ planned, text }: PlanState, model: Model): PlanResult {
  if (!textDone(text)) throw new RangeError("this plan is not finished");
  return {
    ...readPlan(saidPlan(text, model), canvasOf(planned, model), model.config.locTokens, planned.for),
    ids: textIds(text),
    promptTokens: planPrompt(planned, model).length,
    steps: text.step,
  };
}

function canvasOf(planned: Planned, { config: { nativeResolution: side } }: Model): Size {
  return planned.for === "draw" ? { width: side, height: side } : planned.picture;
}

function unused(param: string, when: string): UnmaskError {
  return new UnmaskError({
    code: "option_unused",
    message: `\`${param}\` has no effect ${when}`,
    fix: "plan a drawing by a prompt, or an edit by an instruction and its picture",
    param,
  });
}
