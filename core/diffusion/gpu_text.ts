/**
 * What a step of an answer or of grounding reveals, decided on a GPU: logits stay there, and what comes to the host are
 * the newly revealed tokens, 4 bytes each, in one read. The host's forms, text_blocks.ts and core/tasks/ground_reader.ts,
 * are the reference.
 *
 * @module
 */
import { MOST_CONFIDENT } from "../../kernels/wgsl/canvas.ts";
import { groupsFor, packParams } from "../../kernels/wgsl/kernel.ts";
import { CONFIDENCE, ID_BITS, TEXT_CANDIDATES } from "../../kernels/wgsl/text.ts";
import type { Gpu, TensorPart } from "../engine/gpu.ts";
import { type ChoiceOptions, type ChoiceScratch, choiceScratch, choiceValues } from "./gpu_choice.ts";
import type { Picked } from "./pick.ts";
import type { TextPickPlan } from "./text_blocks.ts";

/** A word holds a place among the picked ones in the bits above the id. */
const MOST_PICKS = 2 ** (32 - ID_BITS);
const MOST_IDS = 2 ** ID_BITS;

export interface GpuTextPlan extends Omit<TextPickPlan, "confidence"> {
  /** `logit`: the token's own, as grounding has it. */
  readonly confidence: keyof typeof CONFIDENCE;
}

/** `vocabulary`: rows of the LM head that are looked at, at most 2^20. */
export interface GpuTextOptions extends ChoiceOptions {
  /** Positions that a step may pick from, 1 to 4096. */
  readonly picks: number;
}

/** Scratch memory of one answer's steps. */
export class GpuTextPicker {
  readonly #gpu: Gpu;
  readonly #options: GpuTextOptions;
  readonly #scratch: ChoiceScratch;

  private constructor(gpu: Gpu, options: GpuTextOptions, scratch: ChoiceScratch) {
    this.#gpu = gpu;
    this.#options = options;
    this.#scratch = scratch;
  }

  /** @throws {RangeError} if places or ids do not fit a word */
  static async open(gpu: Gpu, options: GpuTextOptions): Promise<GpuTextPicker> {
    const { picks, vocabulary } = options;
    if (picks < 1 || picks > MOST_PICKS || vocabulary > MOST_IDS) {
      throw new RangeError(`${picks} places of ${vocabulary} ids do not fit a word`);
    }
    return new GpuTextPicker(gpu, options, await choiceScratch(gpu, picks));
  }

  /**
   * @param logits fp32 [plan's positions, vocabulary], from its tensor's beginning
   * @returns surest first, equals by position
   */
  async pick({ tensor, offset }: TensorPart, plan: GpuTextPlan): Promise<Picked> {
    if (offset !== 0) throw new RangeError("logits of an answer begin their tensor");
    const { positions } = plan;
    const count = Math.min(plan.count, positions.length);
    const [places, words, scores, best] = this.#scratch;
    const candidates = {
      kernel: TEXT_CANDIDATES,
      params: packParams(TEXT_CANDIDATES, {
        ...choiceValues(this.#options, plan),
        confidence: CONFIDENCE[plan.confidence],
      }),
      storage: [tensor, places, words, scores],
      groups: positions.length,
    };
    const choice = {
      kernel: MOST_CONFIDENT,
      params: packParams(MOST_CONFIDENT, { candidates: positions.length, count }),
      storage: [words, scores, best],
      groups: groupsFor(positions.length),
    };
    const read = await this.#gpu.run({
      writes: [{ tensor: places, data: positions }],
      dispatches: [candidates, choice],
      read: { tensor: best, words: count },
    });
    return {
      positions: read.map((word) => positions[word >>> ID_BITS] ?? 0),
      ids: read.map((word) => word & (MOST_IDS - 1)),
    };
  }

  release(): void {
    for (const tensor of this.#scratch) tensor.release();
  }
}
