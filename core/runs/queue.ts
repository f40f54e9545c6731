/**
 * The queue on plain keys: a place in the order, or a lease with a fencing token; never both, and each change of the two
 * in one commit with the record (docs/design.md, "A run").
 *
 * @module
 */
import { keys, newWriteId } from "./keys.ts";
import { type Held, land, type Ledger } from "./ledger.ts";
import {
  type Control,
  type EventBody,
  isTerminal,
  type Lease,
  parseRecord,
  type Pending,
  type Problem,
  type RunRecord,
} from "./record.ts";
import type { Entry, Key, Page, Store, Write } from "./store/types.ts";

/** What goes first: runs that were taken from a dead worker or handed back by a stopping one. */
export const FIRST_RANK = 0;

/** Rank 1 to 10 for priority 9 to 0. */
export function rankOf(priority: number): number {
  return 10 - priority;
}

export function placeKey(record: RunRecord): Key | null {
  return record.place === null ? null : keys.pending(record.place[0], record.place[1], record.id);
}

export function placeWrite(record: RunRecord, notBefore = 0): Write {
  const key = placeKey(record);
  if (key === null) throw new RangeError(`${record.id} has no place in the queue`);
  return { key, value: { owner: record.owner, not_before: notBefore } satisfies Pending };
}

/** A run that this worker holds. The versions are those of its own last writes: every further write checks them. */
export interface Claim extends Held {
  readonly lease: Entry<Lease>;
  readonly control: Control;
  /** The run was another worker's, whose lease stood still. */
  readonly reclaimed: boolean;
  /** Others were waiting beside it when it was taken. */
  readonly more: boolean;
}

export interface QueueOptions {
  /** Claims without a new snapshot, after which a run is given up. @default {5} */
  readonly maximumAttempts?: number;
  /** Wait before the second attempt; doubles with each further one. @default {1000} */
  readonly backoff?: number;
}

/** Waiting runs that are read at once, and the most among which workers that meet spread out. */
const PAGE = 64;

export class Queue {
  /**
   * Among how many of the first runs of a rank a claim begins. 1 is strict order; it grows while other workers are met at
   * the same runs, since all of them at the head would each lose a commit to every other, and falls again.
   */
  #spread = 1;
  readonly #ledger: Ledger;
  readonly #worker: string;
  readonly #maximum: number;
  readonly #backoff: number;

  constructor(ledger: Ledger, worker: string, { maximumAttempts = 5, backoff = 1000 }: QueueOptions = {}) {
    this.#ledger = ledger;
    this.#worker = worker;
    this.#maximum = maximumAttempts;
    this.#backoff = backoff;
  }

  get #store(): Store {
    return this.#ledger.store;
  }

  /** The first run that is due, or null. Runs that were cancelled, paused or expired while they waited are settled. */
  async claim(): Promise<Claim | null> {
    // A page is enough: what is in front is due, but for the few that back off.
    for (let cursor: string | null = null, page = 0; page < 20; page++) {
      const { entries, cursor: next }: Page<Pending> = await this.#store.list<Pending>({
        prefix: keys.allPending,
        limit: PAGE,
        cursor,
      });
      const now = this.#ledger.now();
      const due = entries.filter(({ value }) => value.not_before <= now);
      while (due.length > 0) {
        const [entry] = due.splice(this.#choose(due), 1);
        const claim = entry === undefined ? null : await this.#take(entry);
        if (claim === "met another") this.#spread = Math.min(PAGE, 2 * this.#spread);
        if (claim === null || claim === "met another") continue;
        this.#spread = Math.max(1, this.#spread - 1);
        return { ...claim, more: due.length > 0 || next !== null };
      }
      if (next === null) return null;
      cursor = next;
    }
    return null;
  }

  /** Which of the runs that wait: of the first rank, one of the first few. */
  #choose(due: readonly Entry<Pending>[]): number {
    const rank = due[0]?.key[1];
    const end = due.findIndex(({ key }) => key[1] !== rank);
    return Math.floor(Math.random() * Math.min(this.#spread, end < 0 ? due.length : end));
  }

  async #take(place: Entry<Pending>): Promise<Claim | null | "met another"> {
    const id = String(place.key[3]);
    const { owner } = place.value;
    const [run, control] = await this.#store.getMany([keys.run(owner, id), keys.control(owner, id)]);
    if (run === undefined || run === null) {
      await this.#store.commit({ checks: [{ key: place.key, version: place.version }], deletes: [place.key] });
      return null;
    }
    const held = { record: parseRecord(run.value), version: run.version };
    const checks = [{ key: place.key, version: place.version }, { key: keys.lease(id), version: null }];
    // Another has just taken it, and its place with it.
    if (held.record.state === "running") return "met another";
    if (held.record.state !== "queued") {
      const left = await this.#store.commit({ checks, deletes: [place.key] });
      return left.ok ? null : "met another";
    }
    return await this.#lease(held, control as Entry<Control> | null, checks, [place.key], false);
  }

  /**
   * Takes a run from a worker whose lease was seen unchanged for its whole length on this worker's own clock.
   *
   * @param keep hold it oneself; else it goes to the front of the queue
   */
  async reclaim(lease: Entry<Lease>, keep: boolean): Promise<Claim | null> {
    const id = String(lease.key[1]);
    const { owner } = lease.value;
    const checks = [{ key: lease.key, version: lease.version }];
    const [run, control] = await this.#store.getMany([keys.run(owner, id), keys.control(owner, id)]);
    const held = run === undefined || run === null ? null : { record: parseRecord(run.value), version: run.version };
    if (held === null || isTerminal(held.record.state)) {
      await this.#store.commit({ checks, deletes: [lease.key] });
      return null;
    }
    const wait = this.#wait(held.record.attempts);
    if (keep && wait === 0) {
      const claim = await this.#lease(held, control as Entry<Control> | null, checks, [], true);
      return claim === "met another" ? null : claim;
    }
    await this.requeue(held, lease, wait, held.record.error, "worker_lost");
    return null;
  }

  async #lease(
    held: Held,
    asked: Entry<Control> | null,
    checks: readonly { key: Key; version: string | null }[],
    deletes: readonly Key[],
    reclaimed: boolean,
  ): Promise<Claim | null | "met another"> {
    const { record, version } = held;
    const { owner, id } = record;
    const all = [...checks, { key: keys.run(owner, id), version }];
    const now = this.#ledger.now();
    const control = asked?.value ?? {};
    const settled = settle(record, control, now) ?? this.#exhausted(record);
    if (settled !== null) {
      const { record: after, sets } = this.#ledger.next(record, settled.changes, settled.events);
      const dead = after.state === "failed" ? [{ key: keys.dead(id), value: { owner } }] : [];
      await this.#ledger.write(after, {
        // Not if what was asked has been taken back meanwhile.
        checks: [...all, { key: keys.control(owner, id), version: asked?.version ?? null }],
        sets: [...sets, ...dead],
        deletes: [...deletes, ...(reclaimed ? [keys.lease(id)] : [])],
      });
      return null;
    }
    const lease: Lease = { owner, worker: this.#worker, token: record.token + 1, beat: 0, write_id: newWriteId() };
    const { record: after, sets } = this.#ledger.next(record, {
      state: "running",
      token: lease.token,
      attempts: record.attempts + 1,
      claims: record.claims + 1,
      started_at: record.started_at ?? now,
      place: null,
    }, [{
      type: "run.started",
      data: { worker: this.#worker, claim: record.claims + 1, step: record.step, reclaimed },
    }]);
    const landed = await this.#ledger.write(after, {
      checks: all,
      sets: [...sets, { key: keys.lease(id), value: lease }],
      deletes: deletes.filter((key) => key[0] !== "lease"),
    });
    if (landed === null) return "met another";
    // One commit wrote both, so they have its version: also where its answer was lost and the record was read again.
    const entry: Entry<Lease> = { key: keys.lease(id), value: lease, version: landed, expires_at: null };
    return { record: after, version: landed, lease: entry, control, reclaimed, more: false };
  }

  /** Gives a leased run back. With a reason other than a stop, `wait` ms pass before anybody takes it. */
  async requeue(
    held: Held,
    lease: Entry<Lease>,
    wait: number,
    error: Problem | null,
    reason: "worker_stops" | "worker_lost" | "step_failed",
  ): Promise<boolean> {
    const { record, version } = held;
    const checks = [
      { key: keys.run(record.owner, record.id), version },
      { key: lease.key, version: lease.version },
    ];
    const exhausted = this.#exhausted({ ...record, error });
    const { record: after, sets } = exhausted === null
      ? this.#ledger.next(
        record,
        { state: "queued", place: [FIRST_RANK, record.created_at], error },
        [{ type: "run.requeued", data: { reason, step: record.step, wait_ms: wait } }],
      )
      : this.#ledger.next(record, exhausted.changes, exhausted.events);
    const more = exhausted === null
      ? [placeWrite(after, wait === 0 ? 0 : this.#ledger.now() + wait)]
      : [{ key: keys.dead(record.id), value: { owner: record.owner } }];
    return await this.#ledger.write(after, { checks, sets: [...sets, ...more], deletes: [lease.key] }) !== null;
  }

  /** Back-off after `attempts` claims that brought nothing: none after the first. */
  waitAfter(attempts: number): number {
    return this.#wait(attempts);
  }

  #wait(attempts: number): number {
    return attempts < 2 ? 0 : this.#backoff * 2 ** (attempts - 2);
  }

  #exhausted(record: RunRecord): Settled | null {
    if (record.attempts < this.#maximum) return null;
    const error = record.error ?? {
      code: "worker_lost",
      message: `${record.attempts} workers in a row were lost at this run before they saved anything`,
      fix: "look into the workers' logs, then start the run again",
    };
    return {
      changes: { state: "failed", error },
      events: [{ type: "run.failed", data: { error, dead_letter: true, attempts: record.attempts } }],
    };
  }

  /** The heartbeat: nothing but a new version of the lease. Null: another worker has it. */
  async beat(lease: Entry<Lease>): Promise<Entry<Lease> | null> {
    const value: Lease = { ...lease.value, beat: lease.value.beat + 1, write_id: newWriteId() };
    const version = await land(
      this.#store,
      {
        checks: [{ key: lease.key, version: lease.version }],
        sets: [{ key: lease.key, value }],
      },
      lease.key,
      value.write_id,
    );
    return version === null ? null : { ...lease, value, version };
  }
}

export interface Settled {
  readonly changes: Partial<RunRecord>;
  readonly events: readonly EventBody[];
}

/** What was asked of a run, as its next state; null: it goes on. */
export function settle(record: RunRecord, control: Control, now: number): Settled | null {
  const at = { step: record.step, steps: record.steps };
  if (control.cancel === true) {
    return { changes: { state: "cancelled" }, events: [{ type: "run.cancelled", data: at }] };
  }
  const { deadline, work_ms, started_at } = record;
  const worked = work_ms !== null && started_at !== null && now >= started_at + work_ms;
  if (worked || (deadline !== null && now >= deadline)) {
    return { changes: { state: "expired" }, events: [{ type: "run.expired", data: at }] };
  }
  if (control.pause === true) {
    return { changes: { state: "paused", place: null }, events: [{ type: "run.paused", data: at }] };
  }
  return null;
}
