/**
 * A reflection as a run: its state as bytes, its fork from any step, and the picture as of any step.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../errors.ts";
import { createDraw } from "../../tasks/draw.ts";
import { decodeDrawState, encodeDrawState } from "../../tasks/draw_state.ts";
import { createReflect, type ReflectInput, reflectInput } from "../../tasks/reflect.ts";
import {
  type Drawn,
  type OpenRound,
  reflectProgress,
  type ReflectState,
  type Said,
} from "../../tasks/reflect_state.ts";
import { encodeSequence, unreadableState } from "../../tasks/sequence.ts";
import { parseInput } from "../../tasks/task_input.ts";
import type { TextSettings, TextState } from "../../tasks/text_stepper.ts";
import type { Kind, PictureKind } from "./kind.ts";
import { pack, partAt, unpack } from "./packed.ts";
import { forkReflection, pictureAsOf } from "./reflect_past.ts";
import { textFrom, textSettingsSchema } from "./text_state.ts";

const count = z.int().min(0);
const said = z.object({ step: count, said: z.string() }).nullable();
const drawn = { plan: said, feedback: z.array(count) };

const headSchema = z.object({
  settings: z.object({
    rounds: count,
    feedback: z.boolean(),
    plan: textSettingsSchema.nullable(),
    judge: textSettingsSchema.nullable(),
    maskId: count,
  }),
  closed: z.array(z.object({ ...drawn, verdict: said })),
  open: z.discriminatedUnion("phase", [
    z.object({ phase: z.literal("plan"), step: count }),
    z.object({ phase: z.literal("draw"), ...drawn }),
    z.object({ phase: z.literal("judge"), ...drawn, step: count }),
  ]).nullable(),
});

type Head = z.infer<typeof headSchema>;

// Folding needs neither words nor defaults of a model.
const task = createReflect(createDraw());

const picture: PictureKind<ReflectState> = {
  sequence: pictureAsOf,
  settings: ({ fresh: { settings: { guidance, order } } }) => ({ guidance, order }),
  // No budget: it knows one picture's steps, and here nobody knows how many pictures there will be.
  fork: forkReflection,
  redraw: () => {
    throw new UnmaskError({
      code: "redraw_unsupported",
      message: "a reflection draws whole pictures, and judges them as such",
      fix: "fork it, or draw its last picture again as a draw with its plan and seed",
    });
  },
};

export const reflectKind: Kind<ReflectInput, ReflectState> = {
  name: task.name,
  parse: (input) => parseInput(reflectInput, input, "a reflection"),
  encode,
  decode,
  fold: task.fold,
  done: task.done,
  progress: reflectProgress,
  // Of one round: nobody knows how many there will be.
  tokens: ({ settings: { plan, judge }, fresh: { sequence } }) =>
    (plan?.length ?? 0) + sequence.ids.length + (judge?.length ?? 0),
  picture,
};

function encode({ settings, fresh, closed, open }: ReflectState): Uint8Array {
  const parts: Uint8Array[] = [encodeDrawState(fresh)];
  const text = (state: TextState) => {
    parts.push(encodeSequence(state.sequence));
    return state.step;
  };
  const told = (of: Said | null) => (of === null ? null : { step: text(of.text), said: of.said });
  const round = ({ plan, feedback, draw }: Drawn) => {
    const head = { plan: told(plan), feedback };
    parts.push(encodeDrawState(draw));
    return head;
  };
  const opened = (of: OpenRound) => {
    if (of.phase === "plan") return { phase: of.phase, step: text(of.text) };
    const head = { phase: of.phase, ...round(of) };
    return of.phase === "judge" ? { ...head, step: text(of.text) } : head;
  };
  const rounds = closed.map((of) => ({ ...round(of), verdict: told(of.verdict) }));
  return pack({ settings, closed: rounds, open: open === null ? null : opened(open) }, parts);
}

/** Parts are read in the order in which `encode` wrote them. */
function decode(bytes: Uint8Array): ReflectState {
  const { head: { settings, closed, open }, parts } = unpack(bytes, headSchema);
  let next = 0;
  const part = () => partAt(parts, next++);
  const text = (of: TextSettings | null, step: number) => {
    if (of === null) throw unreadableState("it holds a text that it has no settings for");
    return textFrom(of, step, part());
  };
  const told = (of: TextSettings | null, head: z.infer<typeof said>): Said | null =>
    head === null ? null : { text: text(of, head.step), said: head.said };
  const round = ({ plan, feedback }: Pick<Head["closed"][number], "plan" | "feedback">): Drawn => ({
    plan: told(settings.plan, plan),
    feedback,
    draw: decodeDrawState(part()),
  });
  const opened = (of: NonNullable<Head["open"]>): OpenRound => {
    if (of.phase === "plan") return { phase: of.phase, text: text(settings.plan, of.step) };
    if (of.phase === "draw") return { phase: of.phase, ...round(of) };
    return { phase: of.phase, ...round(of), text: text(settings.judge, of.step) };
  };
  return {
    settings,
    fresh: decodeDrawState(part()),
    closed: closed.map((of) => ({ ...round(of), verdict: told(settings.judge, of.verdict) })),
    open: open === null ? null : opened(open),
  };
}
