/**
 * A draw as a run: its bytes, and its fork, regional redraw and budget.
 *
 * @module
 */
import { UnmaskError } from "../../errors.ts";
import { type DrawInput, parseDrawInput } from "../../tasks/draw_input.ts";
import {
  continued,
  decodeDrawState,
  type DrawState,
  encodeDrawState,
  foldDraw,
  takeOver,
} from "../../tasks/draw_state.ts";
import { cutBack, maskedPositions } from "../../tasks/sequence.ts";
import type { Kind, PictureKind } from "./kind.ts";

const picture: PictureKind<DrawState> = {
  sequence: (state) => state.sequence,
  settings: ({ settings: { guidance, order } }) => ({ guidance, order }),
  budget: {
    counts: (state) => state.counts,
    withCounts: (state, counts) => {
      const sum = counts.reduce((sum, count) => sum + count, 0);
      if (sum !== maskedPositions(state.sequence).length) {
        throw new RangeError(`counts of ${sum} do not fit this state`);
      }
      return { ...state, counts };
    },
  },
  fork,
  redraw,
};

export const drawKind: Kind<DrawInput, DrawState> = {
  name: "draw",
  parse: parseDrawInput,
  encode: encodeDrawState,
  decode: decodeDrawState,
  fold: foldDraw,
  done: (state) => state.counts.length === 0,
  progress: ({ step, counts }) => ({ step, steps: step + counts.length }),
  tokens: ({ sequence }) => sequence.ids.length,
  picture,
};

function fork(fresh: DrawState, parent: DrawState, step: number): DrawState {
  sameGrid(fresh, parent);
  const left = fresh.settings.steps - step;
  const sequence = cutBack(parent.sequence, step);
  const masked = maskedPositions(sequence).length;
  if (!Number.isInteger(step) || step < 0 || step > parent.step || (masked > 0 && left < 1)) {
    throw new UnmaskError({
      code: "fork_out_of_range",
      message: `there is no fork at step ${step} of a run at step ${parent.step}, into ${fresh.settings.steps} steps`,
      fix: "fork at a step that the run has done, and before the last step of the new run",
      param: "step",
    });
  }
  return continued(fresh, sequence, step, masked === 0 ? 0 : left);
}

/** The parent's own sequence keeps the past of what is taken over. */
function redraw(fresh: DrawState, parent: DrawState, positions: Uint32Array): DrawState {
  sameGrid(fresh, parent);
  if (parent.counts.length > 0) {
    throw new UnmaskError({
      code: "redraw_too_early",
      message: "this run is not finished, so there is no picture to redraw a part of",
      fix: "wait until it has succeeded, or fork it",
    });
  }
  return takeOver(fresh, parent.sequence.ids, positions);
}

/** @throws {UnmaskError} `parent_of_another_model` (409) */
export function sameGrid(fresh: DrawState, parent: DrawState): void {
  const { sequence } = fresh;
  if (sequence.ids.length === parent.sequence.ids.length && sequence.maskId === parent.sequence.maskId) return;
  throw new UnmaskError({
    code: "parent_of_another_model",
    message: "the parent run was drawn by a model with another grid or other codes",
    fix: "start a new run",
    status: 409,
  });
}
