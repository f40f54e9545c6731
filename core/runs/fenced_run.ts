/**
 * What one worker writes of a run that it holds: one write after another, each under its fence (lease and record as this
 * worker last wrote them), and none once the fence has fallen.
 *
 * @module
 */
import { keys } from "./keys.ts";
import type { Held, Ledger } from "./ledger.ts";
import type { Claim, Queue, Settled } from "./queue.ts";
import { type EventBody, isTerminal, type Lease, type RunRecord } from "./record.ts";
import { stageState } from "./stored_state.ts";
import type { Commit, Entry } from "./store/types.ts";

/** The run as it is now, in memory. */
export interface Present {
  /** With what the state says, not yet written. */
  readonly record: RunRecord;
  /** The state's bytes; null before the first. */
  readonly state: Uint8Array | null;
}

export interface FencedRunParts {
  readonly ledger: Ledger;
  readonly queue: Queue;
  /** Asked at each write, so that the newest is what is written. */
  readonly present: () => Present;
  /** Ms between the starts of two snapshots behind the loop. */
  readonly spacing: number;
}

export class FencedRun {
  readonly #parts: FencedRunParts;
  #held: Held;
  #lease: Entry<Lease>;
  #lost = false;
  /** Events since the last durable snapshot. */
  #unsaved: EventBody[] = [];
  /** Each write needs the versions that the one before it made. */
  #writing: Promise<void> = Promise.resolve();
  #saveQueued = false;
  #savedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The first failure of a write that was made behind the loop; the worker lets go of the run for it. */
  failure: unknown;

  constructor({ record, version, lease }: Claim, parts: FencedRunParts) {
    this.#parts = parts;
    this.#held = { record, version };
    this.#lease = lease;
  }

  /** As it was last written. */
  get record(): RunRecord {
    return this.#held.record;
  }

  /** Another has the run, or this worker has let it go. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Part of the next write. */
  amend(changes: Partial<RunRecord>): void {
    this.#held = { ...this.#held, record: { ...this.record, ...changes } };
  }

  /** An event that becomes visible with the next snapshot. */
  note(event: EventBody): void {
    this.#unsaved.push(event);
  }

  /** Queues one save behind the loop; steps that come before it starts are in it: newest wins. */
  saveBehind(): void {
    if (this.#saveQueued) return;
    this.#saveQueued = true;
    const wait = this.#savedAt + this.#parts.spacing - performance.now();
    if (wait <= 0) return this.#saveNext();
    this.#timer = setTimeout(() => this.#saveNext(), wait);
  }

  #saveNext(): void {
    this.#after(() => {
      this.#saveQueued = false;
      return this.#snapshot();
    });
  }

  /** The end of the run is near: what is not saved yet is part of its last commit. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  /** The newest state, durable when this settles. */
  async save(): Promise<void> {
    await this.#after(() => this.#snapshot());
  }

  /**
   * Gives the lease up with the next state, the newest snapshot and `more`.
   *
   * @param file the result, for those in this process who wait for the end
   */
  async leave(
    { changes, events }: Settled,
    more: readonly Commit[] = [],
    file: Uint8Array | null = null,
  ): Promise<void> {
    clearTimeout(this.#timer);
    await this.#after(async () => {
      if (this.#lost) return;
      const unsaved = this.#unsaved;
      this.#unsaved = [];
      const { record: present, state, bytes } = await this.#staged();
      const { record, sets } = this.#parts.ledger.next(present, changes, [...unsaved, ...events]);
      this.#parts.ledger.here.bring(record, { state: bytes, file });
      await this.#commit(record, sets, [state, ...more, { deletes: [this.#lease.key] }]);
    });
  }

  /** Saves, and puts the run back into the queue. */
  async handBack(reason: "worker_stops" | "step_failed", error: RunRecord["error"]): Promise<void> {
    await this.save();
    await this.#after(async () => {
      if (this.#lost) return;
      const { queue } = this.#parts;
      const held = reason === "worker_stops" ? { ...this.#held, record: { ...this.record, attempts: 0 } } : this.#held;
      const wait = reason === "worker_stops" ? 0 : queue.waitAfter(held.record.attempts + 1);
      await queue.requeue(held, this.#lease, wait, error, reason);
      this.#lost = true;
    });
  }

  /** Renews the lease. */
  async beat(): Promise<void> {
    await this.#after(async () => {
      if (this.#lost || isTerminal(this.record.state) || this.record.state !== "running") return;
      const lease = await this.#parts.queue.beat(this.#lease);
      if (lease === null) this.#lost = true;
      else this.#lease = lease;
    });
  }

  /** Writes nothing from now on. */
  abandon(): void {
    clearTimeout(this.#timer);
    this.#lost = true;
  }

  /** Everything written so far is known to be durable, or lost. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #snapshot(): Promise<void> {
    if (this.#lost || this.#unsaved.length === 0) return;
    this.#savedAt = performance.now();
    const events = this.#unsaved;
    this.#unsaved = [];
    const { record: present, state } = await this.#staged();
    const { record, sets } = this.#parts.ledger.next(present, { attempts: 0, error: null }, events);
    await this.#commit(record, sets, [state]);
  }

  async #staged(): Promise<{
    readonly record: RunRecord;
    readonly state: Commit;
    readonly bytes: Uint8Array | null;
  }> {
    const { record, state: bytes } = this.#parts.present();
    if (bytes === null) return { record, state: {}, bytes };
    const key = keys.state(record.owner, record.id);
    return { record, state: await stageState(this.#parts.ledger.store, key, record, bytes), bytes };
  }

  async #commit(record: RunRecord, sets: Commit["sets"], more: readonly Commit[]): Promise<void> {
    const version = await this.#parts.ledger.write(record, {
      checks: [
        { key: keys.run(record.owner, record.id), version: this.#held.version },
        { key: this.#lease.key, version: this.#lease.version },
        ...more.flatMap(({ checks = [] }) => checks),
      ],
      sets: [...sets ?? [], ...more.flatMap(({ sets = [] }) => sets)],
      deletes: more.flatMap(({ deletes = [] }) => deletes),
    });
    if (version === null) this.#lost = true;
    else this.#held = { record, version };
  }

  #after(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(work);
    this.#writing = done.catch((error: unknown) => {
      this.failure ??= error;
    });
    return done;
  }
}
