/**
 * Decoding an answer, plan or verdict, block by block (facts 6.5): a step machine whose state is a text sequence.
 *
 * @module
 */
import type { Draws } from "../diffusion/draws.ts";
import { finishedAt, type TextConfidence, type TextPlan, textSteps } from "../diffusion/text_blocks.ts";
import type { TextCache, TextInput, Tokenizer, Understanding } from "../model/types.ts";
import { maskedSequence, reveal } from "./sequence.ts";
import type { Delta, Sequence, Stepper } from "./task.ts";
import { type OnTextCandidates, type TextRevealer, textRevealerFor } from "./text_revealer.ts";

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
  /** Of the random numbers' last counter word, so that several texts of one seed differ. @default {0} */
  readonly round?: number;
  /** Another source of random numbers, for parity runs. @default Philox under the run's seed */
  readonly draws?: Draws;
  /** Sees every step's candidates, for parity runs and traces. */
  readonly onCandidates?: OnTextCandidates;
}

export class TextStepper implements Stepper {
  #state: TextState;
  readonly #model: Understanding;
  readonly #setup: TextSetup;
  readonly #revealer: TextRevealer;
  #cache: TextCache | undefined;
  #closed = false;

  constructor(state: TextState, model: Understanding, setup: TextSetup) {
    this.#state = state;
    this.#model = model;
    this.#setup = setup;
    const { round, draws, onCandidates } = setup;
    const { seed, block } = state.settings;
    this.#revealer = textRevealerFor(model, { seed, round, block, draws, onCandidates });
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
    const delta = plan.count === 0 ? this.#nothing(step, positions) : {
      step,
      ...await this.#reveal(state, step, positions, plan.count),
    };
    this.#state = foldText(state, delta);
    return delta;
  }

  get bytes(): number {
    return this.#cache?.bytes ?? 0;
  }

  close(): void {
    this.#closed = true;
    this.#revealer.close();
    this.#cache?.release();
    this.#cache = undefined;
  }

  #nothing(step: number, positions: Uint32Array): Delta {
    this.#setup.onCandidates?.(step, positions, []);
    return { step, positions: new Uint32Array(), ids: new Uint32Array() };
  }

  async #reveal({ settings, sequence }: TextState, step: number, positions: Uint32Array, count: number) {
    const { prefixCache, temperature, confidence } = settings;
    const { prompt } = this.#setup;
    const plan = { step, positions, count, temperature, confidence };
    const answer = Int32Array.from(sequence.ids);
    if (!prefixCache) {
      const whole = { ...prompt, ids: Int32Array.of(...prompt.ids, ...answer) };
      const asked = positions.map((position) => prompt.ids.length + position);
      return await this.#revealer.reveal(undefined, whole, asked, plan);
    }
    const cache = this.#cache ?? await this.#model.read(prompt);
    if (this.#closed) {
      cache.release();
      throw new RangeError("this stepper was closed while it read its prompt");
    }
    this.#cache = cache;
    return await this.#revealer.reveal(cache, { ids: answer }, positions, plan);
  }
}

/** The answer's ids: all of them, or with an early stop those before the end token. */
export function textIds({ settings, sequence }: TextState): Uint32Array {
  const end = finishedAt(sequence.ids, sequence.maskId, new Set(settings.ends));
  return Uint32Array.from(sequence.ids).subarray(0, end);
}

/** Tokens of the blocks that are done. */
export function settledTokens({ settings: { block }, sequence: { revealedAt } }: TextState): number {
  const masked = revealedAt.indexOf(0);
  return masked < 0 ? revealedAt.length : masked - masked % block;
}

/** The text of the blocks that are done: a beginning of the whole text, which no later step changes. */
export function settledText(state: TextState, tokenizer: Tokenizer): string {
  const ids = Uint32Array.from(state.sequence.ids).subarray(0, settledTokens(state));
  const end = ids.findIndex((id) => state.settings.ends.includes(id));
  const text = tokenizer.decode(end < 0 ? ids : ids.subarray(0, end), { skipSpecial: true });
  // Half a character at the end may become a whole one; white space there may turn out to be the end.
  return text.trimStart().replace(/[\s\ufffd]+$/, "");
}
