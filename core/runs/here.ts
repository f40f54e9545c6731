/**
 * What this process itself writes of runs, told to those who wait here: at once, and without a look at the store at each
 * step of a run whose end alone is awaited.
 *
 * @module
 */
import type { RunRecord } from "./record.ts";

/** Runs remembered. One that is forgotten is looked up in the store, as those of other processes are. */
const MOST = 1000;

type Told = (record: RunRecord) => void;

/** Bytes that were written in one commit with a record. */
export interface Brought {
  readonly state: Uint8Array | null;
  /** The result's file. */
  readonly file: Uint8Array | null;
}

export class Here {
  /** Runs whose last record that this process wrote says that they run, or wait: its own worker has them, or may. */
  readonly #live = new Map<string, "running" | "queued">();
  readonly #waiting = new Map<string, Set<Told>>();
  /** By the very record, so that they live as long as somebody holds that, and no other record is taken for it. */
  readonly #brought = new WeakMap<RunRecord, Brought>();

  note(record: RunRecord): void {
    const { id, state } = record;
    if (state === "running" || state === "queued") this.#live.set(id, state);
    else this.#live.delete(id);
    // Those that another process has taken are never heard of again.
    if (this.#live.size > MOST) this.#live.delete(this.#live.keys().next().value ?? "");
    for (const told of [...this.#waiting.get(id) ?? []]) told(record);
  }

  /** What this process knows of the run: that a worker of its own has it, or that it may get it; null: nothing. */
  has(id: string): "running" | "queued" | null {
    return this.#live.get(id) ?? null;
  }

  /** Until the next record of it. */
  forget(id: string): void {
    this.#live.delete(id);
  }

  /** What will be in the record's own commit. Only those who are told of that record can ask for it. */
  bring(record: RunRecord, brought: Brought): void {
    this.#brought.set(record, brought);
  }

  /** Null: this is not the very record that this process wrote. */
  broughtWith(record: RunRecord): Brought | null {
    return this.#brought.get(record) ?? null;
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
