/**
 * An answer as a run: its state as bytes.
 *
 * @module
 */
import { z } from "zod";
import { textSteps } from "../../diffusion/text_blocks.ts";
import { type AnswerInput, answerInput, type AnswerState, createAnswer } from "../../tasks/answer.ts";
import { settledTokens } from "../../tasks/text_stepper.ts";
import { encodeSequence } from "../../tasks/sequence.ts";
import { parseInput } from "../../tasks/task_input.ts";
import type { Picture } from "../../model/types.ts";
import type { Kind } from "./kind.ts";
import { DETACHED, pack, partAt, pictureFrom, sizeOf, sizeSchema, unpack } from "./packed.ts";
import { textFrom, textSettingsSchema } from "./text_state.ts";

const count = z.int().min(0);

const headSchema = z.object({
  system: z.string().nullable(),
  turns: z.array(z.object({
    role: z.enum(["user", "assistant"]),
    content: z.string(),
    pictures: z.array(sizeSchema),
  })),
  settings: textSettingsSchema,
  step: count,
});

const task = createAnswer();

export const answerKind: Kind<AnswerInput, AnswerState> = {
  name: task.name,
  parse: (input) => parseInput(answerInput, input, "an answer"),
  encode: ({ system, turns, text: { settings, step, sequence } }) => {
    const sizes = turns.map((turn) => ({ ...turn, pictures: turn.pictures.map(sizeOf) }));
    const pixels = turns.flatMap(({ pictures }) => pictures.map(({ data }) => data));
    return pack({ system, turns: sizes, settings, step }, [encodeSequence(sequence), ...pixels]);
  },
  decode,
  files: ["picture", "pictures"],
  detach: (state) => withPictures(state, (_, pictures) => pictures.map(() => DETACHED)),
  attach: (state, fresh) => withPictures(state, (turn) => fresh.turns[turn]?.pictures ?? []),
  settled: ({ text }) => settledTokens(text),
  fold: task.fold,
  done: task.done,
  tokens: ({ text }) => text.settings.length,
  progress: ({ text }) => ({ step: text.step, steps: textSteps(text.settings).length }),
};

function withPictures(
  state: AnswerState,
  pictures: (turn: number, pictures: readonly Picture[]) => readonly Picture[],
): AnswerState {
  return { ...state, turns: state.turns.map((turn, i) => ({ ...turn, pictures: pictures(i, turn.pictures) })) };
}

function decode(bytes: Uint8Array): AnswerState {
  const { head, parts } = unpack(bytes, headSchema);
  const { system, settings, step } = head;
  const text = textFrom(settings, step, partAt(parts, 0));
  let part = 1;
  const turns = head.turns.map((turn) => ({
    ...turn,
    pictures: turn.pictures.map((size) => pictureFrom(size, partAt(parts, part++))),
  }));
  return { system, turns, text };
}
