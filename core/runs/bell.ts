/**
 * Waking whoever waits. A ring that comes while one looks for work is heard by {@linkcode Bell.wait} if it is told of the
 * rings before that look.
 *
 * @module
 */
export class Bell {
  readonly #waiting = new Set<() => void>();

  #rings = 0;

  get rings(): number {
    return this.#rings;
  }

  ring(): void {
    this.#rings++;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Until the first ring after the first `heard`, `milliseconds`, or the signal. */
  wait(milliseconds: number, signal?: AbortSignal, heard: number = this.#rings): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true || this.#rings > heard) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal?.addEventListener("abort", done, { once: true });
      this.#waiting.add(done);
    });
  }
}
