/**
 * A plan as a run: its state as bytes.
 *
 * @module
 */
import { z } from "zod";
import { textSteps } from "../../diffusion/text_blocks.ts";
import { createPlan, parsePlanInput, type PlanState, type PlanTaskInput } from "../../tasks/plan.ts";
import { encodeSequence } from "../../tasks/sequence.ts";
import { settledTokens } from "../../tasks/text_stepper.ts";
import type { Kind } from "./kind.ts";
import { DETACHED, pack, partAt, pictureFrom, sizeOf, sizeSchema, unpack } from "./packed.ts";
import { textFrom, textSettingsSchema } from "./text_state.ts";

const headSchema = z.object({
  planned: z.discriminatedUnion("for", [
    z.object({ for: z.literal("draw"), prompt: z.string(), micro: z.string().nullable() }),
    z.object({ for: z.literal("edit"), instruction: z.string(), picture: sizeSchema }),
  ]),
  settings: textSettingsSchema,
  step: z.int().min(0),
});

// Folding needs no words of a model.
const task = createPlan();

export const planKind: Kind<PlanTaskInput, PlanState> = {
  name: task.name,
  parse: parsePlanInput,
  encode: ({ planned, text: { settings, step, sequence } }) => {
    const bytes = encodeSequence(sequence);
    if (planned.for === "draw") return pack({ planned, settings, step }, [bytes]);
    const sized = { ...planned, picture: sizeOf(planned.picture) };
    return pack({ planned: sized, settings, step }, [bytes, planned.picture.data]);
  },
  decode: (bytes) => {
    const { head: { planned, settings, step }, parts } = unpack(bytes, headSchema);
    const text = textFrom(settings, step, partAt(parts, 0));
    if (planned.for === "draw") return { planned, text };
    return { planned: { ...planned, picture: pictureFrom(planned.picture, partAt(parts, 1)) }, text };
  },
  files: ["picture"],
  detach: (state) => withPicture(state, DETACHED),
  attach: (state, { planned }) => (planned.for === "edit" ? withPicture(state, planned.picture) : state),
  settled: ({ text }) => settledTokens(text),
  fold: task.fold,
  done: task.done,
  tokens: ({ text }) => text.settings.length,
  progress: ({ text }) => ({ step: text.step, steps: textSteps(text.settings).length }),
};

function withPicture({ planned, text }: PlanState, picture: typeof DETACHED): PlanState {
  return { planned: planned.for === "edit" ? { ...planned, picture } : planned, text };
}
