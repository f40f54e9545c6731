/**
 * The past of a reflection, read from its record: the picture as of a step, and a branch from it. Its steps are counted
 * through all phases, while each sequence counts its own.
 *
 * @module
 */
import { UnmaskError } from "../../errors.ts";
import { continued } from "../../tasks/draw_state.ts";
import { close, type Drawn, drawn, type ReflectState, withPlan } from "../../tasks/reflect_state.ts";
import { cutBack } from "../../tasks/sequence.ts";
import type { Sequence } from "../../tasks/task.ts";
import type { TextSettings, TextState } from "../../tasks/text_stepper.ts";
import { sameGrid } from "./draw_kind.ts";

/** A round as far as it has come. */
interface Past {
  readonly plan: TextState | null;
  /** Null: it is still planned. */
  readonly drawn: Drawn | null;
  readonly judge: TextState | null;
}

function pastOf({ closed, open }: ReflectState): readonly Past[] {
  const over = closed.map((round) => ({
    plan: round.plan?.text ?? null,
    drawn: round,
    judge: round.verdict?.text ?? null,
  }));
  if (open === null) return over;
  if (open.phase === "plan") return [...over, { plan: open.text, drawn: null, judge: null }];
  return [...over, { plan: open.plan?.text ?? null, drawn: open, judge: open.phase === "judge" ? open.text : null }];
}

function stepsOf({ plan, drawn, judge }: Past): Readonly<Record<"plan" | "draw" | "judge" | "all", number>> {
  const steps = { plan: plan?.step ?? 0, draw: drawn?.draw.step ?? 0, judge: judge?.step ?? 0 };
  return { ...steps, all: steps.plan + steps.draw + steps.judge };
}

/**
 * The sequence that was drawn last by step `step`, its reveals counted through the whole run: while a round is planned,
 * that of the round before.
 *
 * @param step @default the last
 */
export function pictureAsOf(state: ReflectState, step = Number.MAX_SAFE_INTEGER): Sequence {
  let { sequence } = state.fresh;
  let begun = 0;
  for (const past of pastOf(state)) {
    const steps = stepsOf(past);
    const first = begun + steps.plan;
    if (step <= first) break;
    if (past.drawn !== null && steps.draw > 0) {
      const own = past.drawn.draw.sequence;
      sequence = { ...own, revealedAt: own.revealedAt.map((at) => (at === 0 ? 0 : at + first)) };
    }
    begun += steps.all;
  }
  return sequence;
}

/**
 * `fresh` over what `parent` had done by step `step`: rounds that were over are kept, the phase that was open goes on.
 *
 * @throws {UnmaskError} `fork_out_of_range`, `fork_of_other_phases`, `parent_of_another_model` (409)
 */
export function forkReflection(fresh: ReflectState, parent: ReflectState, step: number): ReflectState {
  sameGrid(fresh.fresh, parent.fresh);
  for (const phase of ["plan", "judge"] as const) {
    if (shapeOf(fresh.settings[phase]) !== shapeOf(parent.settings[phase])) throw otherPhases(phase);
  }
  const refuse = () => outOfRange(step);
  if (!Number.isInteger(step) || step < 0) throw refuse();
  let left = step;
  let state = fresh;
  for (const [index, past] of pastOf(parent).entries()) {
    if (left === 0) return state;
    if (state.open === null) throw refuse();
    const round = parent.closed[index];
    const { all } = stepsOf(past);
    if (round === undefined || left < all) return within(state, past, left, refuse);
    state = close(state, round, round.verdict);
    left -= all;
  }
  if (left > 0) throw refuse();
  return state;
}

/** `state` at the beginning of a round, with the first `step` steps of it done. */
function within(state: ReflectState, past: Past, step: number, refuse: () => UnmaskError): ReflectState {
  const { plan, draw, all } = stepsOf(past);
  if (step > all) throw refuse();
  const { settings, fresh } = state;
  if (past.drawn === null || step < plan) {
    if (past.plan === null || settings.plan === null) throw refuse();
    return { ...state, open: { phase: "plan", text: textAt(past.plan, settings.plan, step) } };
  }
  const begun = step - plan;
  const { plan: said, feedback, draw: drawing } = past.drawn;
  if (begun < draw || drawing.counts.length > 0) {
    const sequence = cutBack(drawing.sequence, begun);
    const steps = fresh.settings.steps - begun;
    if (steps < 1) throw refuse();
    const goingOn = continued(withPlan(fresh, said), sequence, begun, steps);
    return { ...state, open: { phase: "draw", plan: said, feedback, draw: goingOn } };
  }
  const judging = drawn(state, past.drawn);
  if (judging.open?.phase !== "judge" || past.judge === null) return judging;
  const text = textAt(past.judge, judging.open.text.settings, begun - draw);
  return { ...judging, open: { ...judging.open, text } };
}

function textAt({ sequence }: TextState, settings: TextSettings, step: number): TextState {
  return { settings, step, sequence: cutBack(sequence, step) };
}

/** What must be equal for a text to go on. */
function shapeOf(settings: TextSettings | null): string {
  return JSON.stringify(settings === null ? null : [settings.length, settings.block, settings.stepsPerBlock]);
}

function outOfRange(step: number): UnmaskError {
  return new UnmaskError({
    code: "fork_out_of_range",
    message: `there is no fork at step ${step} into a run of this many steps and rounds`,
    fix: "fork at a step that the run has done, and before the new run's last",
    param: "step",
  });
}

function otherPhases(phase: string): UnmaskError {
  return new UnmaskError({
    code: "fork_of_other_phases",
    message: `one of the two runs has a ${phase} and the other has none`,
    fix: `leave ${phase} as it was, or start a new run`,
    param: phase,
  });
}
