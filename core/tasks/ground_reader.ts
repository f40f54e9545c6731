/**
 * A forward over the LOC rows at every mask, and what it says: on a GPU where logits stay there, else on the host. Which
 * of the two it is follows from the model.
 *
 * @module
 */
import { GpuTextPicker } from "../diffusion/gpu_text.ts";
import { argmax } from "../diffusion/sampling.ts";
import type { ResidentAnswering, TextInput, Understanding } from "../model/types.ts";
import { LazyPicker } from "./lazy_picker.ts";

export interface GroundForward {
  /** The likeliest LOC number of every coordinate. */
  readonly best: Uint32Array<ArrayBuffer>;
  /** All coordinates, highest logit first, equals in order. */
  readonly surest: readonly number[];
}

export interface GroundReader {
  /** @param forward from 0 */
  read(input: TextInput, forward: number): Promise<GroundForward>;
  close(): void;
}

/** Sees LOC logits fp32 [masks, locTokens]. */
export type OnGroundForward = (forward: number, logits: Float32Array) => void;

/**
 * @param masks their places in the sequence, a coordinate each
 * @param onForward a witness lives on the host, and so does then the choice
 */
export function groundReaderFor(model: Understanding, masks: Uint32Array, onForward?: OnGroundForward): GroundReader {
  const { resident } = model;
  if (resident !== undefined && onForward === undefined) return new GpuGroundReader(resident, masks);
  return {
    read: async (input, forward) => {
      const logits = await model.locations(undefined, input, masks);
      onForward?.(forward, logits);
      return bestOf(logits, masks.length);
    },
    close: () => {},
  };
}

function bestOf(logits: Float32Array, masks: number): GroundForward {
  const size = logits.length / masks;
  const row = (index: number) => logits.subarray(index * size, (index + 1) * size);
  const best = Uint32Array.from({ length: masks }, (_, index) => argmax(row(index)));
  // A row without a number has a likeliest one, and is the least sure.
  const score = (index: number) => {
    const logit = row(index)[best[index] ?? 0] ?? NaN;
    return Number.isNaN(logit) ? -Infinity : logit;
  };
  const surer = (a: number, b: number) => score(a) === score(b) ? a - b : score(b) > score(a) ? 1 : -1;
  return { best, surest: [...best.keys()].sort(surer) };
}

/** What comes to the host are the LOC numbers, 4 bytes a coordinate, in the order of their logits. */
class GpuGroundReader implements GroundReader {
  readonly #answering: ResidentAnswering;
  readonly #masks: Uint32Array;
  readonly #coordinates: Uint32Array;
  readonly #picker: LazyPicker;

  constructor(answering: ResidentAnswering, masks: Uint32Array) {
    this.#answering = answering;
    this.#masks = masks;
    this.#coordinates = Uint32Array.from(masks.keys());
    const { gpu, locTokens } = answering;
    // Nothing here is drawn.
    this.#picker = new LazyPicker(() =>
      GpuTextPicker.open(gpu, { vocabulary: locTokens, seed: 0, picks: masks.length })
    );
  }

  async read(input: TextInput, forward: number): Promise<GroundForward> {
    const picker = await this.#picker.open();
    const logits = await this.#answering.locations(undefined, input, this.#masks);
    try {
      const [row] = logits.rows;
      if (row === undefined) throw new RangeError("the model gave no logits");
      const positions = this.#coordinates;
      const all = { step: forward + 1, positions, count: positions.length };
      const picked = await picker.pick(row, { ...all, temperature: 0, confidence: "logit" });
      const best = new Uint32Array(positions.length);
      picked.positions.forEach((coordinate, i) => best[coordinate] = picked.ids[i] ?? 0);
      return { best, surest: [...picked.positions] };
    } finally {
      logits.release();
    }
  }

  close(): void {
    this.#picker.close();
  }
}
