/**
 * An engine whose steps are a sleep: what is left is the queue's own cost.
 *
 * @module
 */
import type { StepEngine } from "../../core/runs/step_engine.ts";
import { counts } from "../../core/diffusion/schedule.ts";
import { DRAW_DEFAULTS } from "../../core/tasks/draw_defaults.ts";
import type { DrawInput } from "../../core/tasks/draw_input.ts";
import { type DrawState, foldDraw } from "../../core/tasks/draw_state.ts";
import { maskedPositions, maskedSequence } from "../../core/tasks/sequence.ts";

const POSITIONS = 256;
const MASK = 61;

/** @param milliseconds of a step */
export function sleepEngine(milliseconds: number): StepEngine {
  return {
    fingerprint: "sleep",
    start: (_, input) => Promise.resolve(first(input as DrawInput)),
    open: (_, from) => {
      let state = from as DrawState;
      const step = async () => {
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        const positions = maskedPositions(state.sequence).slice(0, state.counts[0]);
        const delta = { step: state.step + 1, positions, ids: Uint32Array.from(positions, () => 1) };
        state = foldDraw(state, delta);
        return delta;
      };
      return Promise.resolve({ step, close: () => Promise.resolve() });
    },
    result: () => Promise.resolve({ picture: black(), promptTokens: 1, imageTokens: POSITIONS }),
    decode: () => Promise.resolve(black()),
    meanCode: () => Promise.resolve(0),
  };
}

function first({ prompt, seed, steps = 1 }: DrawInput): DrawState {
  const settings = { ...DRAW_DEFAULTS, prompt, seed, steps };
  const list = counts(POSITIONS, steps, settings.schedule, settings.shift);
  return { settings, step: 0, counts: list, sequence: maskedSequence("vq", POSITIONS, MASK) };
}

const black = () => ({ width: 16, height: 16, data: new Uint8Array(16 * 16 * 3) });
