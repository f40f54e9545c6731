/**
 * Reflection: rounds of plan, drawing and verdict until the model calls its picture correct (facts 6.7), as a step
 * machine whose state holds the machine of its current phase. Without a judge it is one plan and its picture.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { isAccepted } from "../model/prompts.ts";
import { TOKENS } from "../model/chat_template.ts";
import type { Model, Picture } from "../model/types.ts";
import { requireVision, viewsOf } from "../model/vision.ts";
import type { DrawTask } from "./draw.ts";
import { drawInput } from "./draw_input.ts";
import { refuseLength, refuseTextLength, unusedOption } from "./draw_refusals.ts";
import { setUpDraw } from "./draw_setup.ts";
import type { DrawState } from "./draw_state.ts";
import { PLAN_DEFAULTS, planEnds, planPrompt } from "./plan.ts";
import { type FoundPlan, readPlan } from "./plan_reader.ts";
import {
  countersOf,
  foldReflect,
  forwardsOf,
  type ReflectDelta,
  type ReflectSettings,
  type ReflectState,
  startReflection,
} from "./reflect_state.ts";
import { judgePrompt, pictureOf, ReflectStepper } from "./reflect_stepper.ts";
import type { Task } from "./task.ts";
import { textSettings } from "./text_options.ts";

/** As published: rounds, and tokens of a verdict. */
const DEFAULTS = { rounds: 4, verdictLength: 32 };

/** A draw's options, of each round's drawing. */
export const reflectInput = drawInput.omit({ plan: true }).extend({
  /** Drawings at most. @default {4, without a judge 1} */
  rounds: z.int().min(1).max(16).optional(),
  /** Each round begins with a plan. @default {true} */
  plan: z.boolean().optional(),
  /** Of plans; 0 takes the likeliest. @default {0.5} */
  planTemperature: z.number().min(0).max(10).optional(),
  /**
   * Whether a drawing sees the pictures and verdicts before it; else it is only drawn anew.
   * @default {true, if the model was trained for it}
   */
  feedback: z.boolean().optional(),
  /** False: one round, a plan and its picture. @default {true} */
  judge: z.boolean().optional(),
});

export type ReflectInput = z.infer<typeof reflectInput>;

/** One round, as it happened. */
export interface RoundTrace {
  /** From 1. */
  readonly round: number;
  readonly seed: number;
  /** Last counter words of the random numbers under that seed, by phase. */
  readonly counters: Readonly<Record<"plan" | "draw" | "judge", number>>;
  readonly plan: FoundPlan | null;
  /** Rounds whose picture and verdict the drawing saw, from 1. */
  readonly feedback: readonly number[];
  readonly picture: Picture;
  /** VQ ids of the picture. */
  readonly ids: Uint16Array;
  /** The judge's words; null: there was no judge. */
  readonly verdict: string | null;
  readonly accepted: boolean | null;
  /** The judge's words where they refuse. */
  readonly reason: string | null;
  readonly forwards: Readonly<Record<"plan" | "draw" | "judge", number>>;
}

export interface ReflectResult {
  /** Of the last round, accepted or not. */
  readonly picture: Picture;
  readonly rounds: readonly RoundTrace[];
  /** Tokens of the first drawing's prompt, plan and feedback apart. */
  readonly promptTokens: number;
  /** VQ ids and text tokens of all rounds. */
  readonly imageTokens: number;
  readonly textTokens: number;
}

export type ReflectTask = Task<ReflectInput, ReflectState, ReflectResult, Model, ReflectDelta>;

/**
 * Over the task that draws: its words and defaults are those of each round. `start` throws what that task's does and
 * `part_missing` (no vision tower), `option_unused`, `feedback_not_supported`, `prompt_too_long`.
 *
 * @param trained whether the model was trained to draw after feedback
 */
export function createReflect(draw: DrawTask, trained = true): ReflectTask {
  return {
    name: "reflect",
    input: reflectInput,
    start: (input, model) => start(input, model, draw, trained),
    open: async (state, model) => {
      const stepper = new ReflectStepper(state, model);
      await stepper.prepare();
      return stepper;
    },
    fold: foldReflect,
    done: ({ open }) => open === null,
    result,
  };
}

function start(input: ReflectInput, model: Model, draw: DrawTask, trained: boolean): ReflectState {
  const { rounds, plan = true, planTemperature, feedback = trained, judge = true, ...asked } = input;
  if (feedback && !trained) {
    throw new UnmaskError({
      code: "feedback_not_supported",
      message: "this model was not trained to draw after feedback",
      fix: "leave `feedback` out: failures are then drawn anew",
      param: "feedback",
    });
  }
  if (!judge && (rounds ?? 1) > 1) throw unusedOption("rounds", "the judge");
  const most = rounds ?? (judge ? DEFAULTS.rounds : 1);
  if (input.feedback === false && most === 1) throw unusedOption("feedback", "more rounds than one");
  if (!plan && (planTemperature ?? PLAN_DEFAULTS.temperature) !== PLAN_DEFAULTS.temperature) {
    throw unusedOption("planTemperature", "a plan");
  }
  const fresh = draw.start(asked, model);
  const { tokenizer, config } = model;
  const { seed } = fresh.settings;
  const ends = [tokenizer.id(TOKENS.endOfTurn), config.endTokenId];
  const planning = {
    length: PLAN_DEFAULTS.length,
    temperature: planTemperature ?? PLAN_DEFAULTS.temperature,
    ends: planEnds(model),
  };
  const settings: ReflectSettings = {
    rounds: most,
    feedback,
    plan: plan ? textSettings({ seed }, planning, model) : null,
    judge: judge ? textSettings({ seed }, { length: DEFAULTS.verdictLength, temperature: 0, ends }, model) : null,
    maskId: config.maskTokenId,
  };
  refuseLengths(settings, fresh, model);
  return startReflection(settings, fresh);
}

/** Of the longest that any round may come to: refused now, not after rounds of work. */
function refuseLengths({ rounds, feedback, plan, judge }: ReflectSettings, fresh: DrawState, model: Model): void {
  const { prompt, micro } = fresh.settings;
  if (plan !== null) refuseTextLength(planPrompt({ for: "draw", prompt, micro }, model).length, plan.length, model);
  const { nativeResolution: side, dModel } = model.config;
  const shape = { width: side, height: side, data: new Uint8Array(3 * side * side) };
  if (judge !== null) refuseTextLength(judgePrompt(prompt, shape, model).length, judge.length, model);
  const failures = judge !== null && feedback ? Math.min(3, rounds - 1) : 0;
  const tokens = failures === 0 ? 0 : viewsOf(requireVision(model.config), shape, "single").order.length;
  const seen = Array.from({ length: failures }, () => ({ text: "", features: new Float32Array(tokens * dModel) }));
  const { rows, suffix } = setUpDraw(fresh.settings, model, seen);
  const said = (plan?.length ?? 0) + failures * (judge?.length ?? 0);
  refuseLength(rows[0].length + suffix.length + said, model);
}

async function result({ closed, open, fresh }: ReflectState, model: Model): Promise<ReflectResult> {
  const { nativeResolution: side, locTokens } = model.config;
  if (open !== null) throw new RangeError("rounds are left");
  const rounds: RoundTrace[] = [];
  for (const [index, round] of closed.entries()) {
    const { plan, draw, verdict, feedback } = round;
    const accepted = verdict === null ? null : isAccepted(verdict.said);
    rounds.push({
      round: index + 1,
      seed: draw.settings.seed,
      counters: countersOf(index),
      plan: plan === null ? null : readPlan(plan.said, { width: side, height: side }, locTokens, "draw"),
      feedback: feedback.map((seen) => seen + 1),
      picture: await pictureOf(draw, model),
      ids: draw.sequence.ids as Uint16Array,
      verdict: verdict?.said ?? null,
      accepted,
      reason: accepted === false ? verdict?.said ?? null : null,
      forwards: forwardsOf(round),
    });
  }
  const last = rounds.at(-1);
  if (last === undefined) throw new RangeError("a reflection has one round at least");
  const texts = closed.flatMap(({ plan, verdict }) => [plan, verdict].filter((said) => said !== null));
  return {
    picture: last.picture,
    rounds,
    promptTokens: setUpDraw(fresh.settings, model).rows[0].length,
    imageTokens: rounds.reduce((sum, { ids }) => sum + ids.length, 0),
    textTokens: texts.reduce((sum, { text }) => sum + text.sequence.revealedAt.filter((at) => at > 0).length, 0),
  };
}
