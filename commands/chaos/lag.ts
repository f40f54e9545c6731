/**
 * How long processes waited for the processor: on a machine that is too busy, everybody's timers come late, and a bound
 * on time says nothing about the workers.
 *
 * @module
 */

/** Ms between two ticks. */
const TICK = 50;
/** Ms by which any timer may be late. */
const USUAL = 10;

export class LagMeter {
  readonly #late: { readonly at: number; readonly lag: number }[] = [];
  /** By process: what its main thread had waited in all, in ms, as it was seen at a time. */
  readonly #waited = new Map<number, { readonly at: number; readonly sum: number }[]>();
  readonly #processes: () => readonly number[];
  readonly #waitedFor: (process: number) => number | null;
  #last = Date.now();
  readonly #timer = setInterval(() => {
    const now = Date.now();
    const lag = now - this.#last - TICK - USUAL;
    if (lag > 0) this.#late.push({ at: now, lag });
    this.#last = now;
    this.#look(now);
  }, TICK);

  /** @param processes ids of the workers' processes that are up */
  constructor(processes: () => readonly number[], waited: (process: number) => number | null = waitedFor) {
    [this.#processes, this.#waitedFor] = [processes, waited];
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(at: number): void {
    for (const id of this.#processes()) {
      const sum = this.#waitedFor(id);
      if (sum === null) continue;
      const seen = this.#waited.get(id);
      if (seen === undefined) this.#waited.set(id, [{ at, sum }]);
      else seen.push({ at, sum });
    }
  }

  /** Ms that were lost between two moments (Unix ms): by this process, and by the worker that lost most. */
  between(from: number, to: number): number {
    const own = this.#late.filter(({ at }) => at >= from && at <= to).reduce((sum, { lag }) => sum + lag, 0);
    const workers = [...this.#waited.values()].map((seen) => {
      const within = seen.filter(({ at }) => at >= from && at <= to);
      return (within.at(-1)?.sum ?? 0) - (within[0]?.sum ?? 0);
    });
    return own + Math.round(Math.max(0, ...workers));
  }
}

/** Ms that a process's main thread was ready and not let run (Linux: the second number of schedstat); null elsewhere. */
function waitedFor(process: number): number | null {
  try {
    return Number(Deno.readTextFileSync(`/proc/${process}/schedstat`).split(" ")[1]) / 1e6;
  } catch {
    return null; // it is gone, or this is another system
  }
}
