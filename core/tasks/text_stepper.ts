/**
 * Decoding an answer, plan or verdict, block by block (facts 6.5): a step machine whose state is a text sequence.
 *
 * @module
 */
import { type Draws, philoxDraws } from "../diffusion/draws.ts";
import { drawBlock } from "../diffusion/sampling.ts";
import {
  type Candidate,
  candidate,
  finishedAt,
  surest,
  type TextConfidence,
  type TextPlan,
  textSteps,
} from "../diffusion/text_blocks.ts";
import type { TextCache, TextInput, Understanding } from "../model/types.ts";
import { maskedSequence, reveal } from "./sequence.ts";
import type { Delta, Sequence, Stepper } from "./task.ts";

export interface TextSettings extends TextPlan {
  /** 0 takes the likeliest. */
  readonly temperature: number;
  readonly confidence: TextConfidence;
  readonly seed: number;
  /** Tokens that end an answer; with any, decoding stops once everything left of one is done. Empty: no early stop. */
  readonly ends: readonly number[];
  /**
   * True: the prompt sees only itself and is computed once, the published default. False: whole sequence in every
   * step, every token seeing every other.
   */
  readonly prefixCache: boolean;
}

export interface TextState {
  readonly settings: TextSettings;
  /** Steps done. */
  readonly step: number;
  readonly sequence: Sequence;
}

/** @param maskId of the text, `config.maskTokenId` */
export function startText(settings: TextSettings, maskId: number): TextState {
  textSteps(settings); // refuses a plan that does not add up
  return { settings, step: 0, sequence: maskedSequence("text", settings.length, maskId) };
}

/** Pure. */
export function foldText(state: TextState, delta: Delta): TextState {
  if (delta.step !== state.step + 1) throw new RangeError(`step ${delta.step} does not follow step ${state.step}`);
  return { ...state, step: delta.step, sequence: reveal(state.sequence, delta) };
}

/** Whether no step is left, or an end token makes the rest pointless. */
export function textDone({ settings, step, sequence }: TextState): boolean {
  if (step >= textSteps(settings).length) return true;
  return finishedAt(sequence.ids, sequence.maskId, new Set(settings.ends)) !== undefined;
}

export interface TextSetup {
  readonly prompt: TextInput;
  /** Another source of random numbers, for parity runs. @default Philox under the run's seed */
  readonly draws?: Draws;
  /** Sees every step's candidates, for parity runs and traces. */
  readonly onCandidates?: (step: number, positions: Uint32Array, candidates: readonly Candidate[]) => void;
}

export class TextStepper implements Stepper {
  #state: TextState;
  readonly #model: Understanding;
  readonly #setup: TextSetup;
  readonly #draws: Draws;
  readonly #block = drawBlock();
  #cache: TextCache | undefined;
  #closed = false;

  constructor(state: TextState, model: Understanding, setup: TextSetup) {
    this.#state = state;
    this.#model = model;
    this.#setup = setup;
    this.#draws = setup.draws ?? philoxDraws(state.settings.seed);
  }

  /** Fails without moving: after an error the same step may be tried again. */
  async step(): Promise<Delta | null> {
    if (this.#closed) throw new RangeError("this stepper is closed");
    const state = this.#state;
    if (textDone(state)) return null;
    const plan = textSteps(state.settings)[state.step];
    if (plan === undefined) return null;
    const step = state.step + 1;
    const positions = Uint32Array.from({ length: plan.to - plan.from }, (_, i) => plan.from + i)
      .filter((position) => state.sequence.revealedAt[position] === 0);
    const candidates = plan.count === 0 ? [] : await this.#candidates(state, positions, step);
    this.#setup.onCandidates?.(step, positions, candidates);
    const kept = surest(candidates, plan.count);
    const delta: Delta = {
      step,
      positions: Uint32Array.from(kept, (i) => positions[i] ?? 0),
      ids: Uint32Array.from(kept, (i) => candidates[i]?.id ?? 0),
    };
    this.#state = foldText(state, delta);
    return delta;
  }

  close(): void {
    this.#closed = true;
    this.#cache?.release();
    this.#cache = undefined;
  }

  async #candidates({ settings, sequence }: TextState, positions: Uint32Array, step: number): Promise<Candidate[]> {
    const logits = await this.#logits(settings.prefixCache, Int32Array.from(sequence.ids), positions);
    const vocabulary = logits.length / positions.length;
    return Array.from(positions, (position, i) => {
      const row = logits.subarray(i * vocabulary, (i + 1) * vocabulary);
      const { temperature, confidence } = settings;
      return candidate(row, temperature, confidence, this.#draws, step, position, this.#block);
    });
  }

  async #logits(prefixCache: boolean, answer: Int32Array, positions: Uint32Array): Promise<Float32Array> {
    const { prompt } = this.#setup;
    if (!prefixCache) {
      const whole = { ...prompt, ids: Int32Array.of(...prompt.ids, ...answer) };
      return await this.#model.words(undefined, whole, positions.map((position) => prompt.ids.length + position));
    }
    const cache = this.#cache ?? await this.#model.read(prompt);
    if (this.#closed) {
      cache.release();
      throw new RangeError("this stepper was closed while it read its prompt");
    }
    this.#cache = cache;
    return await this.#model.words(cache, { ids: answer }, positions);
  }
}

/** The answer's ids: all of them, or with an early stop those before the end token. */
export function textIds({ settings, sequence }: TextState): Uint32Array {
  const end = finishedAt(sequence.ids, sequence.maskId, new Set(settings.ends));
  return Uint32Array.from(sequence.ids).subarray(0, end);
}
