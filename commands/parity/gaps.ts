/**
 * Margins of decisions (`gap`): the score of the id that won minus that of the runner-up, from the logits that the
 * stepper was given. The model and the understanding are watched, not asked again: these are the production graphs'
 * numbers, at the positions that production asks for.
 *
 * @module
 */
import { type Draws, gumbel, PHASE } from "../../core/diffusion/draws.ts";
import { type EditMode, guide, guideEdit } from "../../core/diffusion/guidance.ts";
import type { Model, Understanding } from "../../core/model/types.ts";
import type { CaseReport } from "./report.ts";

/** The model with a witness of every draw's logits; without what keeps logits on a GPU. */
export function watchedModel(
  model: Model,
  onLogits: (rows: readonly Float32Array[], positions: Uint32Array) => void,
): Model {
  return {
    config: model.config,
    info: model.info,
    tokenizer: model.tokenizer,
    understanding: model.understanding,
    loaded: model.loaded,
    prompt: (rows, suffix, pictures) => model.prompt(rows, suffix, pictures),
    async draw(cache, ids, positions, width) {
      const rows = await model.draw(cache, ids, positions, width);
      onLogits(rows, positions);
      return rows;
    },
    decode: (ids, width) => model.decode(ids, width),
    encode: (picture) => model.encode(picture),
    close: () => model.close(),
  };
}

/** The same of words. @param onLogits is given places of the input */
export function watchedUnderstanding(
  understanding: Understanding,
  onLogits: (logits: Float32Array, places: Uint32Array) => void,
): Understanding {
  return {
    look: (picture, look) => understanding.look(picture, look),
    read: (input) => understanding.read(input),
    async words(cache, input, places) {
      const logits = await understanding.words(cache, input, places);
      onLogits(logits, places);
      return logits;
    },
    locations: (cache, input, places) => understanding.locations(cache, input, places),
    close: () => understanding.close(),
  };
}

/** Guided logits of the i-th position. */
export function guidedLogits(
  [first = new Float32Array(), second, third]: readonly Float32Array[],
  i: number,
  size: number,
  guidance: number,
  edit: { readonly mode: EditMode; readonly imageGuidance: number } | undefined,
): Float32Array {
  const out = new Float32Array(size);
  if (second === undefined) out.set(first.subarray(i * size, (i + 1) * size));
  else if (third === undefined || edit === undefined) guide(first, second, i * size, size, guidance, out);
  else guideEdit(first, second, third, i * size, size, edit.mode, guidance, edit.imageGuidance, out);
  return out;
}

/** How a score comes of a logit: images divide by the temperature, text multiplies the noise by it. */
export type Scoring = "image" | "text";

/** Gaps as they come in, compared at the end. */
export class Gaps {
  readonly #expected: Float32Array;
  readonly #draws: Draws;
  readonly #scoring: Scoring;
  readonly #actual: number[] = [];
  readonly #wanted: number[] = [];
  #range = 0;

  constructor(expected: Float32Array, draws: Draws, scoring: Scoring) {
    this.#expected = expected;
    this.#draws = draws;
    this.#scoring = scoring;
  }

  /** @param place in the tensor of gaps */
  add(logits: Float32Array, temperature: number, step: number, position: number, place: number): void {
    const block = new Float64Array(4);
    let first = -Infinity;
    let second = -Infinity;
    for (let id = 0; id < logits.length; id++) {
      const logit = logits[id] as number;
      let score = logit;
      if (temperature > 0) {
        if (id % 4 === 0) this.#draws.block(PHASE.candidate, step, position, id / 4, block);
        const noise = gumbel(block[id % 4] as number);
        score = this.#scoring === "image" ? logit / temperature + noise : logit + temperature * noise;
      }
      if (score > first) [first, second] = [score, first];
      else if (score > second) second = score;
      if (Number.isFinite(score)) this.#range = Math.max(this.#range, Math.abs(score));
    }
    this.#actual.push(first - second);
    this.#wanted.push(this.#expected[place] ?? NaN);
  }

  /** @param limit of one score, as a share of the largest one; a gap is a difference of two */
  report(report: CaseReport, limit: number): void {
    if (this.#actual.length === 0) report.fail("gap", "no decision was seen");
    else report.scaled("gap", this.#actual, this.#wanted, this.#range, 2 * limit);
  }
}
