/**
 * What a step reveals, decided on a GPU: a picture's ids, and the step of each reveal, stay there; logits never leave
 * it, and what comes to the host are the newly revealed ids, in one read: 2 bytes each where the order is fixed, so that
 * the host knows their positions, and 4 with their positions where it goes by confidence. The host's form, pick.ts, is
 * the reference: the ids are the same wherever the winning score leads by more than fp32 can tell.
 *
 * @module
 */
import { MOST_CONFIDENT, SCATTER } from "../../kernels/wgsl/canvas.ts";
import { groupsFor, packParams } from "../../kernels/wgsl/kernel.ts";
import { ORDER, SAMPLE } from "../../kernels/wgsl/sample.ts";
import type { Dispatch, Gpu, TensorPart } from "../engine/gpu.ts";
import type { ResidentTensor } from "../engine/types.ts";
import { type ChoiceOptions, type ChoiceScratch, choiceScratch, choiceValues, warmEnough } from "./gpu_choice.ts";
import { editWeights } from "./guidance.ts";
import type { Picked, PickPlan } from "./pick.ts";

/** A word holds 16 bits of position and 16 of id. */
const LIMIT = 65_536;
/** The ids of one picture on a GPU. */
export class GpuCanvas {
  /** int32 [positions], row-major. */
  readonly ids: ResidentTensor;
  /** int32 [positions]; 0 while masked. */
  readonly revealedAt: ResidentTensor;
  readonly #gpu: Gpu;
  readonly #options: ChoiceOptions;
  readonly #scratch: ChoiceScratch;
  /** int32 [ceil(positions / 2)]: ids that a step revealed, two in each. */
  readonly #packed: ResidentTensor;

  private constructor(
    gpu: Gpu,
    options: ChoiceOptions,
    [ids, revealedAt, packed]: readonly [ResidentTensor, ResidentTensor, ResidentTensor],
    scratch: ChoiceScratch,
  ) {
    this.ids = ids;
    this.revealedAt = revealedAt;
    this.#packed = packed;
    this.#gpu = gpu;
    this.#options = options;
    this.#scratch = scratch;
  }

  /**
   * @param ids VQ ids, the mask id where masked
   * @param revealedAt of the same length
   * @throws {RangeError} if positions or ids do not fit 16 bits, or there is no position
   */
  static async open(
    gpu: Gpu,
    ids: ArrayLike<number>,
    revealedAt: ArrayLike<number>,
    options: ChoiceOptions,
  ): Promise<GpuCanvas> {
    const { length } = ids;
    if (length === 0 || length > LIMIT || options.vocabulary > LIMIT) {
      throw new RangeError(`a picture of ${length} ids of ${options.vocabulary} codes does not fit 16 bits`);
    }
    const tensor = (data: Int32Array) => gpu.tensor({ dtype: "int32", dims: [data.length], data });
    const tensors = [
      await tensor(Int32Array.from(ids)),
      await tensor(Int32Array.from(revealedAt)),
      await tensor(new Int32Array(Math.ceil(length / 2))),
    ] as const;
    return new GpuCanvas(gpu, options, tensors, await choiceScratch(gpu, length));
  }

  /**
   * One step: guidance, filter, draw, choice, and the reveal in the canvas. After an error the canvas may hold the step
   * or not: open another one.
   *
   * @param rows fp32 [plan's positions, vocabulary] each, as {@link HostPicker.pick} has them
   */
  async pick(rows: readonly TensorPart[], plan: PickPlan): Promise<Picked> {
    const { positions, step, confidence } = plan;
    const count = Math.min(plan.count, positions.length);
    const [candidates, words, scores, revealed] = this.#scratch;
    const fixed = confidence === undefined;
    const chosen = fixed ? words : revealed;
    const dispatches = [this.#sample(rows, plan)];
    if (!fixed) {
      dispatches.push({
        kernel: MOST_CONFIDENT,
        params: packParams(MOST_CONFIDENT, { candidates: positions.length, count }),
        storage: [words, scores, revealed],
        groups: groupsFor(positions.length),
      });
    }
    const pairs = Math.ceil(count / 2);
    dispatches.push({
      kernel: SCATTER,
      params: packParams(SCATTER, { count, step }),
      storage: [chosen, this.ids, this.revealedAt, this.#packed],
      groups: groupsFor(pairs),
    });
    const writes = [{ tensor: candidates, data: positions }];
    const read = { tensor: fixed ? this.#packed : chosen, words: fixed ? pairs : count };
    const found = await this.#gpu.run({ writes, dispatches, read });
    if (!fixed) return { positions: found.map((word) => word >>> 16), ids: found.map((word) => word & 0xffff) };
    const ids = Uint32Array.from({ length: count }, (_, i) => ((found[i >> 1] ?? 0) >>> (16 * (i & 1))) & 0xffff);
    return { positions: positions.slice(0, count), ids };
  }

  release(): void {
    for (const tensor of [this.ids, this.revealedAt, this.#packed, ...this.#scratch]) tensor.release();
  }

  #sample(rows: readonly TensorPart[], plan: PickPlan): Dispatch {
    const { guidance, edit, filter, confidence } = plan;
    const [first, second = first, third = second] = rows;
    if (first === undefined || second === undefined || third === undefined) {
      throw new RangeError("the model gave no logits");
    }
    if (rows.length === (edit === undefined ? 3 : 2)) throw new RangeError("rows of logits do not fit the guidance");
    const { vocabulary } = this.#options;
    const [onFull, onEnc] = edit === undefined ? [1, 0] : editWeights(edit.mode, edit.imageGuidance);
    const [candidates, words, scores] = this.#scratch;
    return {
      kernel: SAMPLE,
      params: packParams(SAMPLE, {
        ...choiceValues(this.#options, plan),
        rows: rows.length,
        offset0: first.offset,
        offset1: second.offset,
        offset2: third.offset,
        plus: 1 + guidance,
        minus: guidance,
        on_full: onFull,
        on_enc: onEnc,
        top_k: filter.topK < vocabulary ? filter.topK : 0,
        top_p: filter.topP,
        order: ORDER[confidence?.policy ?? "fixed"],
        confidence_temperature: warmEnough(confidence?.temperature ?? 0),
      }),
      storage: [first.tensor, second.tensor, third.tensor, candidates, words, scores],
      groups: plan.positions.length,
    };
  }
}
