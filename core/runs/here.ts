/**
 * What this process itself writes of runs, told to those who wait here: at once, and without a look at the store at each
 * step of a run whose end alone is awaited.
 *
 * @module
 */
import type { RunRecord } from "./record.ts";

type Told = (record: RunRecord) => void;

export class Here {
  /** Runs whose last record that this process wrote says that they run: its own worker has them. */
  readonly #running = new Set<string>();
  readonly #waiting = new Map<string, Set<Told>>();

  note(record: RunRecord): void {
    if (record.state === "running") this.#running.add(record.id);
    else this.#running.delete(record.id);
    for (const told of [...this.#waiting.get(record.id) ?? []]) told(record);
  }

  /** Whether a worker of this process has the run, as far as this process knows. */
  has(id: string): boolean {
    return this.#running.has(id);
  }

  /** Until the next record of it. */
  forget(id: string): void {
    this.#running.delete(id);
  }

  /** Until the returned function is called. */
  listen(id: string, told: Told): () => void {
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(told));
    return () => {
      waiting.delete(told);
      if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
    };
  }
}
