/**
 * From a step's logits to what it reveals: guidance, filter, draw, and under a confidence order the choice of the
 * positions that stay. This is the form that runs on the host, and the reference of the one that runs on a GPU
 * (gpu_pick.ts).
 *
 * @module
 */
import type { Draws } from "./draws.ts";
import { applyFilter, type Filter, FilterScratch } from "./filter.ts";
import { type EditMode, guide, guideEdit } from "./guidance.ts";
import { type ConfidencePolicy, mostConfident } from "./order/confidence.ts";
import { drawBlock, logProbability, sample } from "./sampling.ts";

/** Everything that decides a step but its logits and random numbers. */
export interface PickPlan {
  /** From 1. */
  readonly step: number;
  /** Masked positions, ascending for a confidence order; the logits have a row for each. */
  readonly positions: Uint32Array;
  /** Positions to reveal: all of them, or with `confidence` this many. */
  readonly count: number;
  /** w of (1 + w) c - w u; without effect on a single row. */
  readonly guidance: number;
  /** Of an edit, whose three rows are full, enc and un. */
  readonly edit?: { readonly mode: EditMode; readonly imageGuidance: number };
  readonly filter: Filter;
  /** Of sampling; 0 takes the likeliest. */
  readonly temperature: number;
  /** Present under a confidence order; `temperature` is a T_s, the weight of the noise. */
  readonly confidence?: { readonly policy: ConfidencePolicy; readonly temperature: number };
}

/** Positions with the ids that they reveal, in the plan's order or the most confident first. */
export interface Picked {
  readonly positions: Uint32Array;
  readonly ids: Uint32Array;
}

/** Sees what a confidence order compares: ids and log p at all of the plan's positions. */
export type OnCandidates = (
  step: number,
  positions: Uint32Array,
  ids: Uint32Array,
  logProbability: Float64Array,
) => void;

export class HostPicker {
  readonly #draws: Draws;
  readonly #onCandidates: OnCandidates | undefined;
  readonly #block = drawBlock();
  readonly #logits: Float32Array;
  readonly #scratch: FilterScratch;

  /** @param vocabulary VQ codes, the logits of one position */
  constructor(vocabulary: number, draws: Draws, onCandidates?: OnCandidates) {
    this.#draws = draws;
    this.#onCandidates = onCandidates;
    this.#logits = new Float32Array(vocabulary);
    this.#scratch = new FilterScratch(vocabulary);
  }

  /**
   * @param rows fp32 [positions, vocabulary] each: conditional; conditional and unconditional; or full, enc and un
   * @throws {RangeError} if rows and plan do not fit
   */
  pick(rows: readonly Float32Array[], plan: PickPlan): Picked {
    const { step, positions, count, filter, temperature, confidence } = plan;
    const ids = new Uint32Array(positions.length);
    const certainty = new Float64Array(confidence === undefined ? 0 : positions.length);
    for (let i = 0; i < positions.length; i++) {
      this.#combine(rows, i, plan);
      applyFilter(this.#logits, filter, this.#scratch);
      const id = sample(this.#logits, temperature, this.#draws, step, positions[i] ?? 0, this.#block);
      ids[i] = id;
      if (confidence !== undefined) certainty[i] = logProbability(this.#logits, id);
    }
    if (confidence === undefined) return { positions, ids };
    this.#onCandidates?.(step, positions, ids, certainty);
    const { policy, temperature: noise } = confidence;
    const kept = mostConfident(positions, certainty, count, policy, noise, this.#draws, step);
    return { positions: kept.map((i) => positions[i] ?? 0), ids: kept.map((i) => ids[i] ?? 0) };
  }

  /** The logits of the i-th position, guided if there is more than one row, into the scratch row. */
  #combine([first, second, third]: readonly Float32Array[], i: number, { guidance, edit }: PickPlan): void {
    if (first === undefined) throw new RangeError("the model gave no logits");
    const size = this.#logits.length;
    if (second === undefined) this.#logits.set(first.subarray(i * size, (i + 1) * size));
    else if (edit === undefined) guide(first, second, i * size, size, guidance, this.#logits);
    else if (third === undefined) throw new RangeError("the model gave no unconditional logits");
    else guideEdit(first, second, third, i * size, size, edit.mode, guidance, edit.imageGuidance, this.#logits);
  }
}
