/**
 * The costly half of a draw: prompt caches and scratch arrays over a model. A step is a function of the state alone.
 *
 * @module
 */
import { type Draws, philoxDraws } from "../diffusion/draws.ts";
import { applyFilter, FilterScratch } from "../diffusion/filter.ts";
import { type EditMode, guide, guided, guideEdit } from "../diffusion/guidance.ts";
import { mostConfident } from "../diffusion/order/confidence.ts";
import { fixedOrder } from "../diffusion/order/order.ts";
import { drawBlock, logProbability, sample } from "../diffusion/sampling.ts";
import { decay } from "../diffusion/temperature.ts";
import type { Model, PromptCache, PromptPictures } from "../model/types.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
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
  /** Another source of random numbers, for parity runs. @default Philox under the run's seed */
  readonly draws?: Draws;
  /** Sees what the order `confidence` compares: ids and log p of all masked positions. For parity runs and traces. */
  readonly onCandidates?: (
    step: number,
    positions: Uint32Array,
    ids: Uint32Array,
    logProbability: Float64Array,
  ) => void;
}

export class DrawStepper implements Stepper {
  #state: DrawState;
  readonly #model: Model;
  readonly #setup: DrawSetup;
  readonly #draws: Draws;
  /** Undefined for confidence, which is decided by the data. */
  readonly #order: Uint32Array | undefined;
  readonly #block = drawBlock();
  readonly #logits: Float32Array;
  readonly #filter: FilterScratch;
  /** With and without the unconditional row. */
  readonly #caches = new Map<boolean, PromptCache>();
  #closed = false;

  constructor(state: DrawState, model: Model, setup: DrawSetup) {
    this.#state = state;
    this.#model = model;
    this.#setup = setup;
    this.#draws = setup.draws ?? philoxDraws(state.settings.seed);
    this.#order = fixedOrder(
      state.settings.order,
      Math.sqrt(state.sequence.ids.length),
      state.settings.seed,
    );
    this.#logits = new Float32Array(model.config.vqCodes);
    this.#filter = new FilterScratch(model.config.vqCodes);
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

  close(): void {
    this.#closed = true;
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
    const rows = await this.#model.draw(cache, sequence.ids as Uint16Array, positions);
    const ids = new Uint32Array(positions.length);
    const confidence = new Float64Array(this.#order === undefined ? positions.length : 0);
    const temperature = settings.temperature *
      decay(settings.temperatureDecay, step, settings.steps, settings.temperatureMinimum, settings.shift);
    for (let i = 0; i < positions.length; i++) {
      this.#combine(rows, i, settings.guidance);
      applyFilter(this.#logits, settings, this.#filter);
      const id = sample(this.#logits, temperature, this.#draws, step, positions[i] ?? 0, this.#block);
      ids[i] = id;
      if (this.#order === undefined) confidence[i] = logProbability(this.#logits, id);
    }
    if (this.#order !== undefined) return { step, positions, ids };
    this.#setup.onCandidates?.(step, positions, ids, confidence);
    const noise = settings.confidenceTemperature *
      decay(settings.confidenceDecay, step, settings.steps, settings.confidenceMinimum, settings.shift);
    const policy = settings.confidencePolicy;
    const kept = mostConfident(positions, confidence, count, policy, noise, this.#draws, step);
    return { step, positions: kept.map((i) => positions[i] ?? 0), ids: kept.map((i) => ids[i] ?? 0) };
  }

  /** The logits of the i-th position, guided if there is more than one row, into the scratch row. */
  #combine(rows: readonly Float32Array[], i: number, guidance: number): void {
    const [conditional, second, third] = rows;
    if (conditional === undefined) throw new RangeError("the model gave no logits");
    const size = this.#logits.length;
    const { edit } = this.#setup;
    if (second === undefined) this.#logits.set(conditional.subarray(i * size, (i + 1) * size));
    else if (edit === undefined) guide(conditional, second, i * size, size, guidance, this.#logits);
    else if (third === undefined) throw new RangeError("the model gave no unconditional logits");
    else {
      const { mode, imageGuidance } = edit;
      guideEdit(conditional, second, third, i * size, size, mode, guidance, imageGuidance, this.#logits);
    }
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

function emptyDelta(step: number): Delta {
  return { step, positions: new Uint32Array(), ids: new Uint32Array() };
}
