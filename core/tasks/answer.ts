/**
 * Answering: a question, with a picture or without, to text, as a step machine (facts 6.5).
 *
 * @module
 */
import { z } from "zod";
import { TEXT_CONFIDENCES } from "../diffusion/text_blocks.ts";
import { SCHEDULES } from "../diffusion/schedule.ts";
import { UnmaskError } from "../errors.ts";
import { encodeWithImages, TOKENS } from "../model/chat_template.ts";
import { checkPrompt } from "../model/lexicon.ts";
import { answerText } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { requireVision, viewsOf } from "../model/vision.ts";
import { refuseTextLength } from "./draw_refusals.ts";
import type { Stepper, Task } from "./task.ts";
import { pictureInput } from "./task_input.ts";
import { foldText, startText, textDone, textIds, type TextState, TextStepper } from "./text_stepper.ts";

export const answerInput = z.strictObject({
  question: z.string(),
  /** Seen as a whole and in tiles. */
  picture: pictureInput.optional(),
  /** Tokens of the answer, a multiple of `block`. @default {64} */
  length: z.int().min(1).max(4096).optional(),
  /** Tokens that are decoded together. @default {16, or `length` if that is less} */
  block: z.int().min(1).max(4096).optional(),
  /** Forwards a block. @default {one a token} */
  stepsPerBlock: z.int().min(1).max(4096).optional(),
  /** How a block's tokens spread over its steps. @default {"none"}, evenly */
  schedule: z.enum(SCHEDULES).optional(),
  /** Of the schedule `shift`. @default {3} */
  shift: z.number().positive().max(100).optional(),
  /** 0 takes the likeliest. @default {0} */
  temperature: z.number().min(0).max(10).optional(),
  /** What ranks the tokens of a block. @default {"probability"} */
  confidence: z.enum(TEXT_CONFIDENCES).optional(),
  /** 0 to 2^53 - 1. @default {0} */
  seed: z.int().min(0).optional(),
  /** The prompt is read once and does not see the answer. @default {true} */
  prefixCache: z.boolean().optional(),
  /** Stop once an end token has nothing masked to its left; the release decodes on. @default {true} */
  earlyStop: z.boolean().optional(),
});

export type AnswerInput = z.infer<typeof answerInput>;

export interface AnswerState {
  readonly question: string;
  /** As it came; its tokens are computed again on resume. */
  readonly picture: Picture | null;
  readonly text: TextState;
}

export interface AnswerResult {
  readonly text: string;
  /** Before special tokens were left out; without what follows an end token. */
  readonly ids: Uint32Array;
  readonly promptTokens: number;
  /** Forwards that were run. */
  readonly steps: number;
}

export type AnswerTask = Task<AnswerInput, AnswerState, AnswerResult, Model>;

/**
 * `start` throws what `checkPrompt` throws and `part_missing` (no vision tower), `block_length_invalid`,
 * `schedule_invalid`, `option_unused`, `prompt_too_long`.
 */
export function createAnswer(): AnswerTask {
  return {
    name: "answer",
    input: answerInput,
    start,
    open,
    fold: (state, delta) => ({ ...state, text: foldText(state.text, delta) }),
    done: ({ text }) => textDone(text),
    result: (state, model) => Promise.resolve(result(state, model)),
  };
}

function start(input: AnswerInput, model: Model): AnswerState {
  const { question, picture = null, length = 64 } = input;
  const { prefixCache = true, earlyStop = true, schedule = "none", shift } = input;
  if (shift !== undefined && schedule !== "shift") throw unused("shift", "the schedule shift");
  if (!prefixCache && model.config.promptAttention === "prefix") {
    throw unused("prefixCache", "a model whose prompt sees the answer");
  }
  const block = input.block ?? Math.min(16, length);
  const { tokenizer, config } = model;
  const settings = {
    length,
    block,
    stepsPerBlock: input.stepsPerBlock ?? block,
    schedule,
    ...(shift === undefined ? {} : { shift }),
    temperature: input.temperature ?? 0,
    confidence: input.confidence ?? "probability",
    seed: input.seed ?? 0,
    ends: earlyStop ? [tokenizer.id(TOKENS.endOfTurn), config.endTokenId] : [],
    prefixCache,
  } as const;
  const state = {
    question: checkPrompt(question, null),
    picture,
    text: startText(settings, config.maskTokenId),
  };
  refuseTextLength(promptIds(state, model).length, length, model);
  return state;
}

async function open(state: AnswerState, model: Model): Promise<Stepper> {
  const { picture, text } = state;
  const ids = promptIds(state, model);
  const features = picture === null ? {} : { features: await model.understanding.look(picture, "tiles") };
  return new TextStepper(text, model.understanding, { prompt: { ids, ...features } });
}

/** From text each time: cheap, and the state stays small. */
function promptIds({ question, picture }: Pick<AnswerState, "question" | "picture">, model: Model): Int32Array {
  const tokens = picture === null ? [] : [viewsOf(requireVision(model.config), picture, "tiles").order.length];
  return encodeWithImages(answerText(question, { image: picture !== null }), model.tokenizer, tokens);
}

function result(state: AnswerState, model: Model): AnswerResult {
  if (!textDone(state.text)) throw new RangeError("this answer is not finished");
  const ids = textIds(state.text);
  return {
    text: model.tokenizer.decode(ids, { skipSpecial: true }).trim(),
    ids,
    promptTokens: promptIds(state, model).length,
    steps: state.text.step,
  };
}

function unused(param: string, needs: string): UnmaskError {
  return new UnmaskError({
    code: "option_unused",
    message: `\`${param}\` has no effect without ${needs}`,
    fix: `leave it out, or choose ${needs}`,
    param,
  });
}
