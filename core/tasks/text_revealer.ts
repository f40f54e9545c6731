/**
 * How an answer's step goes from its tokens to what it reveals: on a GPU where the network's logits stay there, else on
 * the host. Which of the two it is follows from the model; both are functions of the state alone.
 *
 * @module
 */
import { type Draws, philoxDraws } from "../diffusion/draws.ts";
import { type GpuTextOptions, GpuTextPicker } from "../diffusion/gpu_text.ts";
import type { Picked } from "../diffusion/pick.ts";
import { drawBlock } from "../diffusion/sampling.ts";
import { type Candidate, candidate, surest, type TextPickPlan } from "../diffusion/text_blocks.ts";
import type { ResidentAnswering, TextCache, TextInput, Understanding } from "../model/types.ts";
import { LazyPicker } from "./lazy_picker.ts";

export interface TextRevealer {
  /** `asked`: the plan's positions among the tokens of `input`. Fails without moving. */
  reveal(
    cache: TextCache | undefined,
    input: TextInput,
    asked: Uint32Array,
    plan: TextPickPlan,
  ): Promise<Picked>;
  close(): void;
}

export type OnTextCandidates = (step: number, positions: Uint32Array, candidates: readonly Candidate[]) => void;

export interface TextRevealerOptions {
  readonly seed: number;
  /** Of the random numbers' last counter word. @default {0} */
  readonly round?: number | undefined;
  /** Tokens of a block. */
  readonly block: number;
  /** Another source of random numbers, or a witness: both live on the host, and so does then the choice. */
  readonly draws?: Draws | undefined;
  readonly onCandidates?: OnTextCandidates | undefined;
}

export function textRevealerFor(model: Understanding, options: TextRevealerOptions): TextRevealer {
  const { draws, onCandidates, seed, round = 0, block } = options;
  if (model.resident !== undefined && draws === undefined && onCandidates === undefined) {
    return new GpuTextRevealer(model.resident, { seed, round, picks: block });
  }
  return new HostTextRevealer(model, draws ?? philoxDraws(seed, round), onCandidates);
}

class HostTextRevealer implements TextRevealer {
  readonly #model: Understanding;
  readonly #draws: Draws;
  readonly #onCandidates: OnTextCandidates | undefined;
  readonly #block = drawBlock();

  constructor(model: Understanding, draws: Draws, onCandidates: OnTextCandidates | undefined) {
    this.#model = model;
    this.#draws = draws;
    this.#onCandidates = onCandidates;
  }

  async reveal(
    cache: TextCache | undefined,
    input: TextInput,
    asked: Uint32Array,
    plan: TextPickPlan,
  ): Promise<Picked> {
    const { step, positions, temperature, confidence, count } = plan;
    const logits = await this.#model.words(cache, input, asked);
    const vocabulary = logits.length / positions.length;
    const candidates = Array.from(positions, (position, i) => {
      const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
      return candidate(row, temperature, confidence, this.#draws, step, position, this.#block);
    });
    this.#onCandidates?.(step, positions, candidates);
    const kept = surest(candidates, count);
    return {
      positions: Uint32Array.from(kept, (i) => positions[i] ?? 0),
      ids: Uint32Array.from(kept, (i) => candidates[i]?.id ?? 0),
    };
  }

  close(): void {}
}

/** Tokens come to the host, which looks their embeddings up: the table is never loaded. Logits stay. */
class GpuTextRevealer implements TextRevealer {
  readonly #answering: ResidentAnswering;
  readonly #picker: LazyPicker;

  constructor(answering: ResidentAnswering, options: Omit<GpuTextOptions, "vocabulary">) {
    this.#answering = answering;
    const { gpu, vocabulary } = answering;
    this.#picker = new LazyPicker(() => GpuTextPicker.open(gpu, { ...options, vocabulary }));
  }

  async reveal(
    cache: TextCache | undefined,
    input: TextInput,
    asked: Uint32Array,
    plan: TextPickPlan,
  ): Promise<Picked> {
    const picker = await this.#picker.open();
    const logits = await this.#answering.words(cache, input, asked);
    try {
      const [row] = logits.rows;
      if (row === undefined) throw new RangeError("the model gave no logits");
      return await picker.pick(row, plan);
    } finally {
      logits.release();
    }
  }

  close(): void {
    this.#picker.close();
  }
}
