/**
 * Refinement rounds as a run: the open sequence, those that are closed, and the rounds to come, as bytes.
 *
 * @module
 */
import { z } from "zod";
import { createDraw } from "../../tasks/draw.ts";
import { decodeDrawState, encodeDrawState } from "../../tasks/draw_state.ts";
import { createRefine, type RefineInput, refineInput, type RefineState } from "../../tasks/refine.ts";
import { decodeSequence, encodeSequence } from "../../tasks/sequence.ts";
import { parseInput } from "../../tasks/task_input.ts";
import type { Kind } from "./kind.ts";
import { pack, partAt, unpack } from "./packed.ts";

const headSchema = z.object({ rounds: z.int().min(0), share: z.number() });

// Folding needs neither words nor defaults of a model.
const task = createRefine(createDraw());

export const refineKind: Kind<RefineInput, RefineState> = {
  name: task.name,
  parse: (input) => parseInput(refineInput, input, "refinement"),
  encode: ({ draw, rounds, share, closed }) =>
    pack({ rounds, share }, [encodeDrawState(draw), ...closed.map(encodeSequence)]),
  decode: (bytes) => {
    const { head: { rounds, share }, parts } = unpack(bytes, headSchema);
    return { draw: decodeDrawState(partAt(parts, 0)), rounds, share, closed: parts.slice(1).map(decodeSequence) };
  },
  fold: task.fold,
  done: task.done,
  tokens: ({ draw }) => draw.sequence.ids.length,
  // A round that has not begun is one more step.
  progress: ({ draw, rounds }) => ({ step: draw.step, steps: draw.step + draw.counts.length + rounds }),
};
