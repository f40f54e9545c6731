/**
 * The costly half of a draw: prompt caches and scratch arrays over a model. A step is a function of the state alone.
 *
 * @module
 */
import type { Draws } from "../diffusion/draws.ts";
import { type EditMode, guided } from "../diffusion/guidance.ts";
import { fixedOrder } from "../diffusion/order/order.ts";
import type { OnCandidates, PickPlan } from "../diffusion/pick.ts";
import { decay } from "../diffusion/temperature.ts";
import type { Model, PromptCache, PromptPictures } from "../model/types.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
import { type Revealer, revealerFor } from "./revealer.ts";
import { maskedPositions } from "./sequence.ts";
import type { Delta, Stepper } from "./task.ts";

/** What is the same in every step of a run. */
export interface DrawSetup {
  /** Conditional and unconditional row, up to the first image token; of an edit full, enc and un (facts 6.4). */
  readonly rows: readonly [Int32Array, Int32Array] | readonly [Int32Array, Int32Array, Int32Array];
  /** What follows the image, under `full` attention; in all rows or row by row. */
  readonly suffix: Int32Array | readonly Int32Array[];
  /** Pictures in the prompt. */
  readonly pictures?: PromptPictures;
  /** Of an edit: what its enc row keeps, and wi. */
  readonly edit?: { readonly mode: EditMode; readonly imageGuidance: number };
  /** Of the random numbers' last counter word, so that several drawings of one seed differ. @default {0} */
  readonly round?: number;
  /** Another source of random numbers, for parity runs. @default Philox under the run's seed */
  readonly draws?: Draws;
  /** Sees what the order `confidence` compares: ids and log p of all masked positions. For parity runs and traces. */
  readonly onCandidates?: OnCandidates;
}

export class DrawStepper implements Stepper {
  #state: DrawState;
  readonly #model: Model;
  readonly #setup: DrawSetup;
  /** Undefined for confidence, which is decided by the data. */
  readonly #order: Uint32Array | undefined;
  readonly #revealer: Revealer;
  /** With and without the unconditional row. */
  readonly #caches = new Map<boolean, PromptCache>();
  #closed = false;

  constructor(state: DrawState, model: Model, setup: DrawSetup) {
    this.#state = state;
    this.#model = model;
    this.#setup = setup;
    this.#order = fixedOrder(
      state.settings.order,
      Math.sqrt(state.sequence.ids.length),
      state.settings.seed,
    );
    const { round, draws, onCandidates } = setup;
    this.#revealer = revealerFor(model, { seed: state.settings.seed, round, draws, onCandidates });
  }

  /** Fails without moving: after an error the same step may be tried again. */
  async step(): Promise<Delta | null> {
    if (this.#closed) throw new RangeError("this stepper is closed");
    const state = this.#state;
    const count = state.counts[0];
    if (count === undefined) return null;
    const delta = count === 0 ? emptyDelta(state.step + 1) : await this.#reveal(state, count);
    this.#state = foldDraw(state, delta);
    return delta;
  }

  get bytes(): number {
    return this.#caches.values().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  close(): void {
    this.#closed = true;
    this.#revealer.close();
    for (const cache of this.#caches.values()) cache.release();
    this.#caches.clear();
  }

  async #reveal(state: DrawState, count: number): Promise<Delta> {
    const { settings, sequence } = state;
    const step = state.step + 1;
    const masked = maskedPositions(sequence);
    // A known order needs logits only where it reveals; confidence compares all that is masked.
    const positions = this.#order?.filter((position) => sequence.revealedAt[position] === 0).slice(0, count) ?? masked;
    const guiding = settings.guidance > 0 || (this.#setup.edit?.imageGuidance ?? 0) > 0;
    const withUnconditional = guiding &&
      guided(step, settings.steps, settings.guidanceInterval ?? undefined);
    const cache = await this.#cache(withUnconditional);
    const { edit } = this.#setup;
    const { confidencePolicy: policy, topK, topP } = settings;
    const plan: PickPlan = {
      step,
      positions,
      count,
      guidance: settings.guidance,
      filter: { topK, topP },
      temperature: settings.temperature *
        decay(settings.temperatureDecay, step, settings.steps, settings.temperatureMinimum, settings.shift),
      ...(edit === undefined ? {} : { edit }),
      ...(this.#order === undefined ? { confidence: { policy, temperature: confidenceNoise(state, step) } } : {}),
    };
    return { step, ...await this.#revealer.reveal(cache, sequence, plan) };
  }

  async #cache(withUnconditional: boolean): Promise<PromptCache> {
    const known = this.#caches.get(withUnconditional);
    if (known !== undefined) return known;
    const { rows, suffix, pictures } = this.#setup;
    const cache = await this.#model.prompt(withUnconditional ? rows : [rows[0]], suffix, pictures);
    if (this.#closed) {
      cache.release();
      throw new RangeError("this stepper was closed while it read its prompt");
    }
    this.#caches.set(withUnconditional, cache);
    return cache;
  }
}

/** a T_s. */
function confidenceNoise({ settings }: DrawState, step: number): number {
  const { confidenceTemperature, confidenceDecay, confidenceMinimum, steps, shift } = settings;
  return confidenceTemperature * decay(confidenceDecay, step, steps, confidenceMinimum, shift);
}

function emptyDelta(step: number): Delta {
  return { step, positions: new Uint32Array(), ids: new Uint32Array() };
}
