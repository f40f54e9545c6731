/**
 * How long steps and results take here, as moving means.
 *
 * @module
 */

/** Weight of the newest measurement. */
const WEIGHT = 0.2;

export class PaceMeter {
  readonly #steps = new Map<string, number>();
  readonly #tails = new Map<string, number>();

  step(task: string, milliseconds: number): void {
    mix(this.#steps, task, milliseconds);
  }

  tail(task: string, milliseconds: number): void {
    mix(this.#tails, task, milliseconds);
  }

  load(task: string, step: number, tail: number): void {
    this.#steps.set(task, step);
    this.#tails.set(task, tail);
  }

  /** Ms; undefined before the first measurement. */
  perStep(task: string): number | undefined {
    return this.#steps.get(task);
  }

  /** Ms; 0 before the first measurement. */
  tailOf(task: string): number {
    return this.#tails.get(task) ?? 0;
  }
}

function mix(means: Map<string, number>, task: string, value: number): void {
  const before = means.get(task);
  means.set(task, before === undefined ? value : before + WEIGHT * (value - before));
}
