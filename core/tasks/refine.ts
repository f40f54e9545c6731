/**
 * Refinement rounds (facts 6.1): of a finished picture a small share is masked again and resampled in one step, round
 * after round. The release has the phase with 0 rounds and no published number pins it; which positions a round takes is
 * this runtime's choice: at random, by the run's seed.
 *
 * A round closes its sequence and starts another (docs/design.md, "The one idea"): nothing is remasked within one.
 *
 * @module
 */
import { z } from "zod";
import { PHASE, philoxDraws } from "../diffusion/draws.ts";
import { UnmaskError } from "../errors.ts";
import type { Model, Picture } from "../model/types.ts";
import type { DrawTask } from "./draw.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
import { maskedPositions, reveal } from "./sequence.ts";
import type { Delta, Sequence, Stepper, Task } from "./task.ts";

export const refineInput = z.strictObject({
  /** A draw that has no step left. */
  draw: z.custom<DrawState>((value) => typeof value === "object" && value !== null && "sequence" in value),
  /** @default {1} */
  rounds: z.int().min(1).max(64).optional(),
  /** Of the positions that a round masks; at least one is. @default {0.01}, as in the release */
  share: z.number().positive().max(1).optional(),
});

export type RefineInput = z.infer<typeof refineInput>;

export interface RefineState {
  /** The sequence that is open, or after the last round the finished one. */
  readonly draw: DrawState;
  /** Rounds that have not begun. */
  readonly rounds: number;
  readonly share: number;
  /** Sequences of the rounds before, the drawing's own first. */
  readonly closed: readonly Sequence[];
}

export interface RefineResult {
  readonly picture: Picture;
  readonly ids: Uint16Array;
}

export type RefineTask = Task<RefineInput, RefineState, RefineResult, Model>;

/** Over the task that drew: its prompt rows are the same. `start` throws `refine_too_early`. */
export function createRefine(task: DrawTask): RefineTask {
  return {
    name: "refine",
    input: refineInput,
    start({ draw, rounds = 1, share = 0.01 }) {
      if (draw.counts.length > 0) {
        throw new UnmaskError({
          code: "refine_too_early",
          message: "this picture is not finished, so there is nothing to refine",
          fix: "wait until it has succeeded",
          param: "draw",
        });
      }
      return nextRound({ draw, rounds, share, closed: [] });
    },
    open: (state, model) => Promise.resolve(new RefineStepper(state, model, task)),
    fold: foldRefine,
    done,
    async result(state, model) {
      if (!done(state)) throw new RangeError("rounds are left");
      const ids = state.draw.sequence.ids as Uint16Array;
      return { picture: await model.decode(ids), ids };
    },
  };
}

function done({ draw, rounds }: RefineState): boolean {
  return draw.counts.length === 0 && rounds === 0;
}

/** Pure. The fold of a round's last step opens the next round. */
function foldRefine(state: RefineState, delta: Delta): RefineState {
  const folded = { ...state, draw: foldDraw(state.draw, delta) };
  return folded.draw.counts.length === 0 && folded.rounds > 0 ? nextRound(folded) : folded;
}

function nextRound({ draw, rounds, share, closed }: RefineState): RefineState {
  return { draw: remasked(draw, share), rounds: rounds - 1, share, closed: [...closed, draw.sequence] };
}

/**
 * A finished draw with a share of its positions masked again and one step more to reveal them. What stays counts as
 * revealed in the last step done; the step numbers go on, and with them the random numbers never repeat.
 */
export function remasked({ settings, step, sequence }: DrawState, share: number): DrawState {
  const { kind, maskId, ids } = sequence;
  const draws = philoxDraws(settings.seed);
  const numbers = new Float64Array(4);
  const number = Float64Array.from(ids, (_, position) => {
    draws.block(PHASE.order, step + 1, position, 0, numbers);
    return numbers[0] as number;
  });
  const count = Math.max(1, Math.round(share * ids.length));
  const at = (position: number) => number[position] as number;
  const ranked = Uint32Array.from(number.keys()).sort((a, b) => at(a) - at(b) || a - b);
  const kept = ranked.slice(count).sort();
  const empty: Sequence = {
    kind,
    maskId,
    ids: ids.slice().fill(maskId),
    revealedAt: new Uint16Array(ids.length),
  };
  const next = reveal(empty, { step, positions: kept, ids: kept.map((position) => ids[position] ?? 0) });
  return {
    settings: { ...settings, steps: step + 1 },
    step,
    counts: [maskedPositions(next).length],
    sequence: next,
  };
}

class RefineStepper implements Stepper {
  #state: RefineState;
  readonly #model: Model;
  readonly #task: DrawTask;
  #round: Stepper | undefined;
  #closed = false;

  constructor(state: RefineState, model: Model, task: DrawTask) {
    this.#state = state;
    this.#model = model;
    this.#task = task;
  }

  async step(): Promise<Delta | null> {
    if (this.#closed) throw new RangeError("this stepper is closed");
    if (done(this.#state)) return null;
    this.#round ??= await this.#task.open(this.#state.draw, this.#model);
    const delta = await this.#round.step();
    if (delta === null) throw new RangeError("a round had no step");
    this.#state = foldRefine(this.#state, delta);
    // The next round is another sequence, of which the stepper of this one knows nothing.
    this.#round.close();
    this.#round = undefined;
    return delta;
  }

  close(): void {
    this.#closed = true;
    this.#round?.close();
  }
}
