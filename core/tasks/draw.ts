/**
 * Drawing: a prompt to a picture, as a step machine (facts 6.1; docs/design.md, "A task is a step machine").
 *
 * @module
 */
import type { Draws } from "../diffusion/draws.ts";
import { fixedOrder } from "../diffusion/order/order.ts";
import { counts } from "../diffusion/schedule.ts";
import { checkPrompt, type Lexicon } from "../model/lexicon.ts";
import type { Model, Picture } from "../model/types.ts";
import { choose, DRAW_DEFAULTS, type DrawDefaults } from "./draw_defaults.ts";
import { refuseLength, refuseSize, refuseUnused } from "./draw_refusals.ts";
import { type DrawInput, drawInput } from "./draw_input.ts";
import { type DrawSettings, type DrawState, foldDraw } from "./draw_state.ts";
import { setUpDraw } from "./draw_setup.ts";
import { DrawStepper } from "./draw_stepper.ts";
import { drawPlan } from "./plan_input.ts";
import { maskedSequence } from "./sequence.ts";
import type { Task } from "./task.ts";

export interface DrawResult {
  readonly picture: Picture;
  readonly settings: DrawSettings;
  /** Tokens of the conditional row that come before the image. */
  readonly promptTokens: number;
  /** VQ ids of the image. */
  readonly imageTokens: number;
}

export interface DrawTaskOptions {
  /** @default {DRAW_DEFAULTS} */
  readonly defaults?: DrawDefaults;
  /** What the model's prompts may say; null: anything. @default {null} */
  readonly lexicon?: Lexicon | null;
  /** Makes another source of random numbers, for parity runs. @default Philox under the run's seed */
  readonly draws?: (settings: DrawSettings) => Draws;
}

export type DrawTask = Task<DrawInput, DrawState, DrawResult, Model>;

/**
 * The task over a model's own defaults and words. `start` throws what `checkPrompt` and `drawPlan` throw and `prompt_too_long`,
 * `size_unsupported`, `order_needs_power_of_two`, `top_k_needs_top_p`, `option_unused`.
 */
export function createDraw(options: DrawTaskOptions = {}): DrawTask {
  const { defaults = DRAW_DEFAULTS, lexicon = null, draws } = options;
  return {
    name: "draw",
    input: drawInput,
    start: (input, model) => start(input, model, defaults, lexicon),
    open: (state, model) => {
      const setup = setUpDraw(state.settings, model);
      const source = draws === undefined ? {} : { draws: draws(state.settings) };
      return Promise.resolve(new DrawStepper(state, model, { ...setup, ...source }));
    },
    fold: foldDraw,
    done: (state) => state.counts.length === 0,
    result,
  };
}

function start(input: DrawInput, model: Model, defaults: DrawDefaults, lexicon: Lexicon | null): DrawState {
  const { prompt, seed, size, plan, ...asked } = input;
  refuseUnused(asked, defaults);
  refuseSize(size, model);
  const { grid, vqMaskId, nativeResolution: side, locTokens } = model.config;
  const chosen = choose(defaults, asked);
  fixedOrder(chosen.order, grid, seed); // refuses a grid that the order does not fit, before any work
  const list = counts(grid * grid, chosen.steps, chosen.schedule, chosen.shift);
  const settings = {
    ...chosen,
    prompt: checkPrompt(prompt, lexicon),
    seed,
    steps: list.length,
    ...(plan === undefined
      ? {}
      : { plan: drawPlan(plan, { canvas: { width: side, height: side }, locTokens, lexicon }) }),
  };
  const { rows, suffix } = setUpDraw(settings, model);
  refuseLength(rows[0].length + suffix.length, model);
  return { settings, step: 0, counts: list, sequence: maskedSequence("vq", grid * grid, vqMaskId) };
}

async function result(state: DrawState, model: Model): Promise<DrawResult> {
  if (state.counts.length > 0) throw new RangeError(`${state.counts.length} steps of this draw are left`);
  return {
    picture: await model.decode(state.sequence.ids as Uint16Array),
    settings: state.settings,
    promptTokens: setUpDraw(state.settings, model).rows[0].length,
    imageTokens: state.sequence.ids.length,
  };
}
