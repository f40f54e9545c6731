/**
 * The state of a reflection: closed rounds, and the machine of the phase that is open: plan, draw or judge (facts 6.7).
 * Everything here is pure.
 *
 * @module
 */
import { PHASE, philoxDraws } from "../diffusion/draws.ts";
import { textSteps } from "../diffusion/text_blocks.ts";
import { isAccepted } from "../model/prompts.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
import type { Delta } from "./task.ts";
import { foldText, startText, textDone, type TextSettings, type TextState } from "./text_stepper.ts";

export interface ReflectSettings {
  /** Drawings at most. */
  readonly rounds: number;
  /** Whether a drawing sees the failures before it. */
  readonly feedback: boolean;
  /** Null: no round plans. */
  readonly plan: TextSettings | null;
  /** Null: one round, which nobody judges. */
  readonly judge: TextSettings | null;
  /** Of text. */
  readonly maskId: number;
}

/** A text that is done, and what it says. */
export interface Said {
  readonly text: TextState;
  readonly said: string;
}

export interface Drawn {
  readonly plan: Said | null;
  /** Closed rounds whose pictures and verdicts the drawing sees, from 0. */
  readonly feedback: readonly number[];
  readonly draw: DrawState;
}

export interface Round extends Drawn {
  readonly verdict: Said | null;
}

export type OpenRound =
  | { readonly phase: "plan"; readonly text: TextState }
  | Drawn & { readonly phase: "draw" }
  | Drawn & { readonly phase: "judge"; readonly text: TextState };

export interface ReflectState {
  readonly settings: ReflectSettings;
  /** What each round's drawing begins as, but for its plan. */
  readonly fresh: DrawState;
  readonly closed: readonly Round[];
  /** Null: it is over. */
  readonly open: OpenRound | null;
}

/** Step numbers are those of the phase. */
export interface ReflectDelta extends Delta {
  /** What the text says that this step ended. */
  readonly said?: string;
}

/** The published number, for the context's sake. */
const MOST_FEEDBACK = 3;

/**
 * Last counter words of a round's random numbers: the first round's are a plain draw's and a plain plan's.
 *
 * @param round from 0
 */
export function countersOf(round: number): Readonly<Record<"draw" | "plan" | "judge", number>> {
  return { draw: 4 * round, plan: 4 * round + 1, judge: 4 * round + 2 };
}

export function startReflection(settings: ReflectSettings, fresh: DrawState): ReflectState {
  return nextRound({ settings, fresh, closed: [], open: null });
}

/** Pure. @throws {RangeError} for a delta that does not follow */
export function foldReflect(state: ReflectState, { said, ...delta }: ReflectDelta): ReflectState {
  const { open } = state;
  if (open === null) throw new RangeError("this reflection is over");
  if (open.phase === "draw") {
    const draw = foldDraw(open.draw, delta);
    return draw.counts.length > 0 ? { ...state, open: { ...open, draw } } : drawn(state, { ...open, draw });
  }
  const text = foldText(open.text, delta);
  if (textDone(text) !== (said !== undefined)) throw new RangeError("a text is told when it is done, and only then");
  if (said === undefined) return { ...state, open: { ...open, text } };
  return open.phase === "plan" ? beginDrawing(state, { text, said }) : close(state, open, { text, said });
}

/** The drawing of a round whose plan is done. */
export function beginDrawing(state: ReflectState, plan: Said | null): ReflectState {
  const { settings, fresh, closed } = state;
  const feedback = settings.feedback ? chosenFailures(closed, fresh.settings.seed) : [];
  return { ...state, open: { phase: "draw", plan, feedback, draw: withPlan(fresh, plan) } };
}

export function withPlan(fresh: DrawState, plan: Said | null): DrawState {
  return plan === null || plan.said === "" ? fresh : { ...fresh, settings: { ...fresh.settings, plan: plan.said } };
}

/** A round whose picture is whole. */
export function drawn(state: ReflectState, { plan, feedback, draw }: Drawn): ReflectState {
  const { judge, maskId } = state.settings;
  if (judge === null) return close(state, { plan, feedback, draw }, null);
  return { ...state, open: { phase: "judge", plan, feedback, draw, text: startText(judge, maskId) } };
}

/** The round is over: another one follows unless its picture is accepted, or rounds are used up. */
export function close(state: ReflectState, { plan, feedback, draw }: Drawn, verdict: Said | null): ReflectState {
  const closed = [...state.closed, { plan, feedback, draw, verdict }];
  const over = verdict === null || isAccepted(verdict.said) || closed.length >= state.settings.rounds;
  return over ? { ...state, closed, open: null } : nextRound({ ...state, closed });
}

function nextRound(state: ReflectState): ReflectState {
  const { plan, maskId } = state.settings;
  if (plan === null) return beginDrawing(state, null);
  return { ...state, open: { phase: "plan", text: startText(plan, maskId) } };
}

/** All failures; of more than three with different texts three at random, in their order. */
function chosenFailures(closed: readonly Round[], seed: number): readonly number[] {
  const all = [...closed.keys()];
  if (all.length <= MOST_FEEDBACK) return all;
  const said = (round: number) => closed[round]?.verdict?.said;
  const different = all.filter((round) => all.findIndex((other) => said(other) === said(round)) === round);
  const draws = philoxDraws(seed, countersOf(closed.length).draw);
  const numbers = new Float64Array(4);
  const rank = new Map(different.map((round) => {
    draws.block(PHASE.order, 0, round, 0, numbers);
    return [round, numbers[0] ?? 0];
  }));
  const by = (a: number, b: number) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0) || a - b;
  return different.toSorted(by).slice(0, MOST_FEEDBACK).sort((a, b) => a - b);
}

/** Forwards of a round. */
export function forwardsOf(round: Round): Readonly<Record<"plan" | "draw" | "judge", number>> {
  const { plan, draw, verdict } = round;
  return { plan: plan?.text.step ?? 0, draw: draw.step, judge: verdict?.text.step ?? 0 };
}

/** Steps done, and those of this round that may be to come: nobody knows how many rounds follow. */
export function reflectProgress({ settings, fresh, closed, open }: ReflectState) {
  let step = 0;
  for (const round of closed) {
    const { plan, draw, judge } = forwardsOf(round);
    step += plan + draw + judge;
  }
  if (open === null) return { step, steps: step };
  const judging = settings.judge === null ? 0 : textSteps(settings.judge).length;
  if (open.phase === "plan") {
    step += open.text.step;
    const planning = textSteps(open.text.settings).length - open.text.step;
    return { step, steps: step + planning + fresh.counts.length + judging };
  }
  step += (open.plan?.text.step ?? 0) + open.draw.step;
  if (open.phase === "draw") return { step, steps: step + open.draw.counts.length + judging };
  step += open.text.step;
  return { step, steps: step + judging - open.text.step };
}
