/**
 * Answering: a question or a whole conversation, with pictures or without, to text, as a step machine (facts 6.5).
 *
 * @module
 */
import { z } from "zod";
import { TEXT_CONFIDENCES } from "../diffusion/text_blocks.ts";
import { SCHEDULES } from "../diffusion/schedule.ts";
import { UnmaskError } from "../errors.ts";
import { encodeWithImages, TOKENS } from "../model/chat_template.ts";
import { checkPrompt } from "../model/lexicon.ts";
import { conversationText } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { type Look, requireVision, viewsOf } from "../model/vision.ts";
import { refuseTextLength } from "./draw_refusals.ts";
import type { Stepper, Task } from "./task.ts";
import { pictureInput } from "./task_input.ts";
import { foldText, startText, textDone, textIds, type TextState, TextStepper } from "./text_stepper.ts";

const turn = z.strictObject({
  role: z.enum(["user", "assistant"]),
  content: z.string(),
  pictures: z.array(pictureInput).max(16).optional(),
});

export const answerInput = z.strictObject({
  question: z.string(),
  /** Seen as a whole and in tiles, if it is the only one of the conversation; else as a whole (facts 7). */
  picture: pictureInput.optional(),
  /** More pictures of the question. */
  pictures: z.array(pictureInput).max(16).optional(),
  /** What was said before, first things first. */
  history: z.array(turn).max(512).optional(),
  /** @default the published system message */
  system: z.string().optional(),
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

/** Pictures are kept as they came; their tokens are computed again on resume. */
export interface AnswerTurn {
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly pictures: readonly Picture[];
}

export interface AnswerState {
  /** Null: the published system message. */
  readonly system: string | null;
  /** The last one is the question. */
  readonly turns: readonly AnswerTurn[];
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
  const { question, picture, pictures = [], history = [], system, length = 64 } = input;
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
  const asked = {
    role: "user",
    content: question,
    pictures: [...(picture === undefined ? [] : [picture]), ...pictures],
  };
  const state = {
    system: system === undefined ? null : checkPrompt(system, null),
    turns: [...history, asked as AnswerTurn].map(({ role, content, pictures = [] }) => ({
      role,
      content: checkPrompt(content, null),
      pictures,
    })),
    text: startText(settings, config.maskTokenId),
  };
  refuseTextLength(answerPrompt(state, model).length, length, model);
  return state;
}

async function open(state: AnswerState, model: Model): Promise<Stepper> {
  const ids = answerPrompt(state, model);
  const look = lookOf(state);
  const seen: Float32Array[] = [];
  for (const picture of picturesOf(state)) seen.push(await model.understanding.look(picture, look));
  const features = seen.length === 0 ? {} : { features: joined(seen) };
  return new TextStepper(state.text, model.understanding, { prompt: { ids, ...features } });
}

function picturesOf({ turns }: Pick<AnswerState, "turns">): readonly Picture[] {
  return turns.flatMap(({ pictures }) => pictures);
}

function lookOf(state: Pick<AnswerState, "turns">): Look {
  return picturesOf(state).length === 1 ? "tiles" : "single";
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** From text each time: cheap, and the state stays small. */
export function answerPrompt(state: Pick<AnswerState, "system" | "turns">, model: Model): Int32Array {
  const { system, turns } = state;
  const look = lookOf(state);
  const tokens = picturesOf(state).map((picture) => viewsOf(requireVision(model.config), picture, look).order.length);
  const said = turns.map(({ role, content, pictures }) => ({ role, content, images: pictures.length }));
  return encodeWithImages(conversationText(said, system ?? undefined), model.tokenizer, tokens);
}

/** The text of the blocks that are done: a beginning of the whole answer, which no later step changes. */
export function settledAnswer({ text: { settings, sequence } }: AnswerState, { tokenizer }: Model): string {
  const masked = sequence.revealedAt.indexOf(0);
  const done = masked < 0 ? settings.length : masked - masked % settings.block;
  const ids = Uint32Array.from(sequence.ids).subarray(0, done);
  const end = ids.findIndex((id) => settings.ends.includes(id));
  const text = tokenizer.decode(end < 0 ? ids : ids.subarray(0, end), { skipSpecial: true });
  // Half a character at the end may become a whole one; white space there may turn out to be the end.
  return text.trimStart().replace(/[\s\ufffd]+$/, "");
}

function result(state: AnswerState, model: Model): AnswerResult {
  if (!textDone(state.text)) throw new RangeError("this answer is not finished");
  const ids = textIds(state.text);
  return {
    text: model.tokenizer.decode(ids, { skipSpecial: true }).trim(),
    ids,
    promptTokens: answerPrompt(state, model).length,
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
