/**
 * Steps of one stepper in the thread, the first asked for at once and each other one as soon as the one before it is
 * there: the thread then computes while a delta is folded, saved and told.
 *
 * @module
 */
import type { Delta } from "./task.ts";

/** Waits for a turn and works in it; rejects with the signal's reason if that aborts before. */
export type InTurn = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;

export interface ClosableSteps {
  step(): Promise<Delta | null>;
  close(): Promise<void>;
}

export class StepsAhead implements ClosableSteps {
  readonly #steps: ClosableSteps;
  readonly #inTurn: InTurn;
  readonly #closing = new AbortController();
  /** Asked for before anybody wants it. */
  #next: Promise<Delta | null> | undefined;

  constructor(steps: ClosableSteps, inTurn: InTurn) {
    this.#steps = steps;
    this.#inTurn = inTurn;
    this.#askAhead();
  }

  /** After an error the same step may be tried again. */
  async step(): Promise<Delta | null> {
    const asked = this.#next ?? this.#ask();
    this.#next = undefined;
    const delta = await asked;
    if (delta !== null && !this.#closing.signal.aborted) this.#askAhead();
    return delta;
  }

  /** A step that waits for its turn is not taken; one at work ends first, since what it uses is released here. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#next?.catch(() => {});
    await this.#steps.close();
  }

  #askAhead(): void {
    this.#next = this.#ask();
    // Whoever asks for it sees its failure.
    this.#next.catch(() => {});
  }

  #ask(): Promise<Delta | null> {
    return this.#inTurn(() => this.#steps.step(), this.#closing.signal);
  }
}
