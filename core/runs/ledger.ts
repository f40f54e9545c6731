/**
 * One commit, one truth: every change of a run's record goes through here together with its events and what the outbox
 * makes of them, so that nobody sees one without the other.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { Here } from "./here.ts";
import { keys, newWriteId } from "./keys.ts";
import { type EventBody, isTerminal, parseRecord, type RunEvent, type RunRecord } from "./record.ts";
import type { Commit, Key, Store, Write } from "./store/types.ts";

/** What goes out because of events; written in the commit that holds them. */
export type Outbox = (record: RunRecord, events: readonly RunEvent[]) => readonly Write[];

export interface LedgerOptions {
  readonly outbox?: Outbox;
  /** How long an ended run is kept, in ms. @default {7 days} */
  readonly retention?: number;
  readonly now?: () => number;
  /** Told of every commit of a run that landed, and how long it took, in ms; for what counts and traces. */
  readonly observe?: (record: RunRecord, events: readonly RunEvent[], milliseconds: number) => void;
}

/** A record and its version in the store. */
export interface Held {
  readonly record: RunRecord;
  readonly version: string;
}

export class Ledger {
  readonly store: Store;
  readonly now: () => number;
  readonly #outbox: Outbox;
  readonly #retention: number;
  readonly #observe: LedgerOptions["observe"];
  /** Events of records that are not written yet, for the observer. */
  readonly #events = new WeakMap<RunRecord, readonly RunEvent[]>();
  /** Told of every commit of a run that landed through this ledger. */
  readonly here = new Here();

  constructor(
    store: Store,
    { outbox = () => [], retention = 7 * 86_400_000, now = Date.now, observe }: LedgerOptions = {},
  ) {
    this.store = store;
    this.#observe = observe;
    this.now = now;
    this.#outbox = outbox;
    this.#retention = retention;
  }

  /** The run, or null if its owner has none of this id. */
  async read(owner: string, id: string): Promise<Held | null> {
    const entry = await this.store.get(keys.run(owner, id));
    return entry === null ? null : { record: parseRecord(entry.value), version: entry.version };
  }

  /**
   * The next record with numbered events, and all that must be written for it. Ending a run gives record and events
   * their expiry.
   */
  next(
    record: RunRecord,
    changes: Partial<RunRecord>,
    bodies: readonly EventBody[],
  ): { readonly record: RunRecord; readonly sets: readonly Write[] } {
    const time = this.now();
    const events = bodies.map((body, i): RunEvent => ({ ...body, sequence: record.sequence + 1 + i, time }));
    const merged = { ...record, ...changes, sequence: record.sequence + events.length, write_id: newWriteId() };
    const ended = isTerminal(merged.state)
      ? { finished_at: time, expires_at: time + this.#retention, place: null }
      : {};
    const after: RunRecord = { ...merged, ...ended };
    const { owner, id } = after;
    if (this.#observe !== undefined) this.#events.set(after, events);
    return {
      record: after,
      sets: [
        // Records and events of ended runs are removed by the sweeper, all together: an expiry on some of the keys
        // would leave a run without its first events.
        { key: keys.run(owner, id), value: after },
        ...events.map((event) => ({ key: keys.event(owner, id, event.sequence), value: event })),
        ...this.#outbox(after, events),
      ],
    };
  }

  /** {@linkcode land}, watching the record for this write's id. */
  async write(record: RunRecord, commit: Commit): Promise<string | null> {
    const start = performance.now();
    const version = await land(this.store, commit, keys.run(record.owner, record.id), record.write_id);
    if (version === null) return null;
    this.#observe?.(record, this.#events.get(record) ?? [], performance.now() - start);
    this.here.note(record);
    return version;
  }
}

/** Waits between tries while the store cannot be reached, in ms. */
const WAITS = [20, 50, 100, 200, 400] as const;

/**
 * Commits until it is known whether the commit landed: a lost answer is settled by reading the probe again and looking
 * for `writeId`. Never gives up while the store is unreachable, unless `signal` aborts.
 *
 * @returns the probe's version, or null if another writer came first
 */
export async function land(
  store: Store,
  commit: Commit,
  probe: Key,
  writeId: string,
  signal?: AbortSignal,
): Promise<string | null> {
  for (let attempt = 0;; attempt++) {
    signal?.throwIfAborted();
    try {
      const result = await store.commit(commit);
      if (result.ok) return result.version;
      const entry = await store.get<{ readonly write_id?: string }>(probe);
      return entry?.value.write_id === writeId ? entry.version : null;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      await pause(WAITS[Math.min(attempt, WAITS.length - 1)] ?? 400);
    }
  }
}

/** Whether trying again later may help. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof UnmaskError && error.code === "store_unreachable";
}

export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** @throws {UnmaskError} `run_not_found` (404), also for a run of another owner */
export async function heldBy(ledger: Ledger, owner: string, id: string): Promise<Held> {
  const held = await ledger.read(owner, id);
  if (held !== null) return held;
  throw new UnmaskError({
    code: "run_not_found",
    message: "there is no run of this id",
    fix: "look for its id in GET /v1/runs",
    param: "id",
    status: 404,
  });
}
