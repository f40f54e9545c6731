/**
 * How a draw's step goes from its state to what it reveals: on a GPU where the network's logits stay there, else on the
 * host. Which of the two it is follows from the model; both are functions of the state alone.
 *
 * @module
 */
import { type Draws, philoxDraws } from "../diffusion/draws.ts";
import type { ChoiceOptions } from "../diffusion/gpu_choice.ts";
import { GpuCanvas } from "../diffusion/gpu_pick.ts";
import { HostPicker, type OnCandidates, type Picked, type PickPlan } from "../diffusion/pick.ts";
import type { Model, PromptCache, ResidentDrawing } from "../model/types.ts";
import type { Sequence } from "./task.ts";

export interface Revealer {
  /** `sequence` is the state's before the step. Fails without moving. */
  reveal(cache: PromptCache, sequence: Sequence, plan: PickPlan): Promise<Picked>;
  close(): void;
}

export interface RevealerOptions {
  readonly seed: number;
  /** Of the random numbers' last counter word. @default {0} */
  readonly round?: number | undefined;
  /** Another source of random numbers, or a witness: both live on the host, and so does then the choice. */
  readonly draws?: Draws | undefined;
  readonly onCandidates?: OnCandidates | undefined;
}

export function revealerFor(model: Model, options: RevealerOptions): Revealer {
  const { seed, round = 0, draws, onCandidates } = options;
  const { resident } = model;
  if (resident !== undefined && draws === undefined && onCandidates === undefined) {
    return new GpuRevealer(resident, { vocabulary: model.config.vqCodes, seed, round });
  }
  return new HostRevealer(model, new HostPicker(model.config.vqCodes, draws ?? philoxDraws(seed, round), onCandidates));
}

class HostRevealer implements Revealer {
  readonly #model: Model;
  readonly #picker: HostPicker;

  constructor(model: Model, picker: HostPicker) {
    this.#model = model;
    this.#picker = picker;
  }

  async reveal(cache: PromptCache, { ids }: Sequence, plan: PickPlan): Promise<Picked> {
    return this.#picker.pick(await this.#model.draw(cache, ids as Uint16Array, plan.positions), plan);
  }

  close(): void {}
}

/** The picture's ids go to the GPU once and are revealed there; what comes back is what was revealed. */
class GpuRevealer implements Revealer {
  readonly #drawing: ResidentDrawing;
  readonly #options: ChoiceOptions;
  #canvas: GpuCanvas | undefined;
  #closed = false;

  constructor(drawing: ResidentDrawing, options: ChoiceOptions) {
    this.#drawing = drawing;
    this.#options = options;
  }

  async reveal(cache: PromptCache, sequence: Sequence, plan: PickPlan): Promise<Picked> {
    const canvas = await this.#open(sequence);
    try {
      const logits = await this.#drawing.draw(cache, canvas.ids, plan.positions);
      try {
        return await canvas.pick(logits.rows, plan);
      } finally {
        logits.release();
      }
    } catch (error) {
      // It may hold a part of the step: the next try begins from the state.
      this.#release();
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  async #open({ ids, revealedAt, maskId }: Sequence): Promise<GpuCanvas> {
    if (this.#canvas !== undefined) return this.#canvas;
    // On the GPU nothing else would notice.
    for (const id of ids) {
      if (id >= this.#options.vocabulary && id !== maskId) throw new RangeError(`VQ id ${id} is no code and no mask`);
    }
    const canvas = await GpuCanvas.open(this.#drawing.gpu, ids, revealedAt, this.#options);
    if (this.#closed) {
      canvas.release();
      throw new RangeError("this stepper was closed while it went to the GPU");
    }
    return this.#canvas = canvas;
  }

  #release(): void {
    this.#canvas?.release();
    this.#canvas = undefined;
  }
}
