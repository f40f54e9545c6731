/**
 * An answer as a run: its state as bytes. The picture travels with it, so that a resumed run sees the same pixels.
 *
 * @module
 */
import { z } from "zod";
import { TEXT_CONFIDENCES, textSteps } from "../../diffusion/text_blocks.ts";
import { SCHEDULES } from "../../diffusion/schedule.ts";
import { type AnswerInput, answerInput, type AnswerState, createAnswer } from "../../tasks/answer.ts";
import { decodeSequence, encodeSequence, unreadableState } from "../../tasks/sequence.ts";
import { parseInput } from "../../tasks/task_input.ts";
import type { Kind } from "./kind.ts";
import { pack, partAt, pictureFrom, sizeOf, sizeSchema, unpack } from "./packed.ts";

const count = z.int().min(0);

const headSchema = z.object({
  question: z.string(),
  picture: sizeSchema.nullable(),
  settings: z.object({
    length: count,
    block: count,
    stepsPerBlock: count,
    schedule: z.enum(SCHEDULES),
    shift: z.number().exactOptional(),
    temperature: z.number(),
    confidence: z.enum(TEXT_CONFIDENCES),
    seed: count,
    ends: z.array(count),
    prefixCache: z.boolean(),
  }),
  step: count,
});

const task = createAnswer();

export const answerKind: Kind<AnswerInput, AnswerState> = {
  name: task.name,
  parse: (input) => parseInput(answerInput, input, "an answer"),
  encode: ({ question, picture, text: { settings, step, sequence } }) =>
    pack({ question, picture: picture === null ? null : sizeOf(picture), settings, step }, [
      encodeSequence(sequence),
      ...(picture === null ? [] : [picture.data]),
    ]),
  decode,
  fold: task.fold,
  done: task.done,
  progress: ({ text }) => ({ step: text.step, steps: textSteps(text.settings).length }),
};

function decode(bytes: Uint8Array): AnswerState {
  const { head, parts } = unpack(bytes, headSchema);
  const { question, settings, step } = head;
  const sequence = decodeSequence(partAt(parts, 0));
  if (sequence.ids.length !== settings.length) throw unreadableState("its answer has another length");
  return {
    question,
    picture: head.picture === null ? null : pictureFrom(head.picture, partAt(parts, 1)),
    text: { settings, step, sequence },
  };
}
