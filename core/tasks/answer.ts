/**
 * Answering: a question or a whole conversation, with pictures or without, to text, as a step machine (facts 6.5).
 *
 * @module
 */
import { z } from "zod";
import { encodeWithImages, TOKENS } from "../model/chat_template.ts";
import { checkPrompt } from "../model/lexicon.ts";
import { conversationText } from "../model/prompts.ts";
import type { Model, Picture } from "../model/types.ts";
import { type Look, requireVision, viewsOf } from "../model/vision.ts";
import { refuseTextLength } from "./draw_refusals.ts";
import type { Stepper, Task } from "./task.ts";
import { pictureInput } from "./task_input.ts";
import { textOptions, textSettings } from "./text_options.ts";
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
  ...textOptions,
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
  const { question, picture, pictures = [], history = [], system, earlyStop = true, ...options } = input;
  const { tokenizer, config } = model;
  const ends = earlyStop ? [tokenizer.id(TOKENS.endOfTurn), config.endTokenId] : [];
  const settings = textSettings(options, { length: 64, temperature: 0, ends }, model);
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
  refuseTextLength(answerPrompt(state, model).length, settings.length, model);
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
