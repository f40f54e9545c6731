/**
 * Grounding as a run: its state as bytes.
 *
 * @module
 */
import { z } from "zod";
import { createGround, type GroundInput, groundInput, type GroundState } from "../../tasks/ground.ts";
import type { GroundDelta } from "../../tasks/ground.ts";
import { parseInput } from "../../tasks/task_input.ts";
import type { Kind } from "./kind.ts";
import { DETACHED, pack, partAt, pictureFrom, sizeOf, sizeSchema, unpack } from "./packed.ts";

const count = z.int().min(0);

const headSchema = z.object({
  picture: sizeSchema,
  expressions: z.array(z.string()),
  steps: count,
  perStep: count,
  step: count,
  /** Pairs: JSON has no numbers as names. */
  fixed: z.array(z.tuple([count, count])),
  best: z.array(count),
});

const task = createGround();

export const groundKind: Kind<GroundInput, GroundState> = {
  name: task.name,
  parse: (input) => parseInput(groundInput, input, "grounding"),
  encode: ({ picture, fixed, ...rest }) => {
    const pairs = Object.entries(fixed).map(([index, value]) => [Number(index), value]);
    return pack({ ...rest, picture: sizeOf(picture), fixed: pairs }, [picture.data]);
  },
  decode: (bytes) => {
    const { head: { picture, fixed, ...rest }, parts } = unpack(bytes, headSchema);
    return { ...rest, picture: pictureFrom(picture, partAt(parts, 0)), fixed: Object.fromEntries(fixed) };
  },
  files: ["picture"],
  seedless: true,
  detach: (state) => ({ ...state, picture: DETACHED }),
  attach: (state, { picture }) => ({ ...state, picture }),
  fold: (state, delta) => task.fold(state, delta as GroundDelta),
  done: task.done,
  progress: ({ step, steps }) => ({ step, steps }),
  // A box has four coordinates.
  tokens: ({ expressions }) => 4 * expressions.length,
};
