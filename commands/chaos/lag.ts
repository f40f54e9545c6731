/**
 * How long this process waited for the processor: on a machine that is too busy, everybody's timers come late, and a
 * bound on time says nothing about the workers.
 *
 * @module
 */

/** Ms between two ticks. */
const TICK = 50;
/** Ms by which any timer may be late. */
const USUAL = 10;

export class LagMeter {
  readonly #late: { readonly at: number; readonly lag: number }[] = [];
  #last = Date.now();
  readonly #timer = setInterval(() => {
    const now = Date.now();
    const lag = now - this.#last - TICK - USUAL;
    if (lag > 0) this.#late.push({ at: now, lag });
    this.#last = now;
  }, TICK);

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Ms that were lost between two moments (Unix ms). */
  between(from: number, to: number): number {
    return this.#late.filter(({ at }) => at >= from && at <= to).reduce((sum, { lag }) => sum + lag, 0);
  }
}
