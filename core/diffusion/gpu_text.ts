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
import type { ResidentTensor } from "../engine/types.ts";
import { PHASE } from "./draws.ts";
import { warmEnough } from "./gpu_pick.ts";
import { seedKey } from "./philox.ts";
import type { Picked } from "./pick.ts";
import type { TextPickPlan } from "./text_blocks.ts";

/** A word holds a place among the picked ones in the bits above the id. */
const MOST_PICKS = 2 ** (32 - ID_BITS);
const MOST_IDS = 2 ** ID_BITS;

export interface GpuTextPlan extends Omit<TextPickPlan, "confidence"> {
  /** `logit`: the token's own, as grounding has it. */
  readonly confidence: keyof typeof CONFIDENCE;
}

export interface GpuTextOptions {
  /** The logits of one position: rows of the LM head that are looked at, at most 2^20. */
  readonly vocabulary: number;
  /** 0 to 2^53 - 1 */
  readonly seed: number;
  /** Positions that a step may pick from, 1 to 4096. */
  readonly picks: number;
}

/** Scratch memory of one answer's steps. */
export class GpuTextPicker {
  readonly #gpu: Gpu;
  readonly #options: GpuTextOptions;
  /** int32 [picks]: the plan's positions, a word and a score for each, and the words that are revealed. */
  readonly #scratch: readonly [ResidentTensor, ResidentTensor, ResidentTensor, ResidentTensor];

  private constructor(gpu: Gpu, options: GpuTextOptions, scratch: readonly ResidentTensor[]) {
    this.#gpu = gpu;
    this.#options = options;
    this.#scratch = scratch as unknown as [ResidentTensor, ResidentTensor, ResidentTensor, ResidentTensor];
  }

  /** @throws {RangeError} if places or ids do not fit a word */
  static async open(gpu: Gpu, options: GpuTextOptions): Promise<GpuTextPicker> {
    const { picks, vocabulary } = options;
    if (picks < 1 || picks > MOST_PICKS || vocabulary > MOST_IDS) {
      throw new RangeError(`${picks} places of ${vocabulary} ids do not fit a word`);
    }
    const scratch: ResidentTensor[] = [];
    for (let i = 0; i < 4; i++) {
      scratch.push(await gpu.tensor({ dtype: "int32", dims: [picks], data: new Int32Array(picks) }));
    }
    return new GpuTextPicker(gpu, options, scratch);
  }

  /**
   * @param logits fp32 [plan's positions, vocabulary], from its tensor's beginning
   * @returns surest first, equals by position
   */
  async pick({ tensor, offset }: TensorPart, plan: GpuTextPlan): Promise<Picked> {
    if (offset !== 0) throw new RangeError("logits of an answer begin their tensor");
    const { positions } = plan;
    const { vocabulary, seed } = this.#options;
    const count = Math.min(plan.count, positions.length);
    const [places, words, scores, best] = this.#scratch;
    const [key0, key1] = seedKey(seed);
    const candidates = {
      kernel: TEXT_CANDIDATES,
      params: packParams(TEXT_CANDIDATES, {
        vocabulary,
        temperature: warmEnough(plan.temperature),
        key0,
        key1,
        step: plan.step,
        candidate_phase: PHASE.candidate << 16,
        confidence_phase: PHASE.confidence << 16,
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
