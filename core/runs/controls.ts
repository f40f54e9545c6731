/**
 * Cancel, pause, resume and retry: asked for under a key of their own, so that whoever holds the run obeys at its next
 * step, and settled here where nobody holds it.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { keys, newWriteId } from "./keys.ts";
import { type Held, heldBy, land, type Ledger } from "./ledger.ts";
import { placeKey, placeWrite, rankOf, settle, type Settled } from "./queue.ts";
import { type Control, isTerminal, type RunRecord } from "./record.ts";

/** Why a run failed from whose last snapshot nobody can go on. */
const STATE_LOST: readonly string[] = ["blob_corrupt", "state_unreadable"];

export interface ControlsParts {
  readonly ledger: Ledger;
  /** Told when something is queued, so that a worker in this process need not poll for it. */
  readonly onQueued?: () => void;
  /** Told what was asked of a run, so that a worker in this process obeys at once. */
  readonly onControl?: (id: string, control: Control) => void;
}

export class Controls {
  readonly #parts: ControlsParts;

  constructor(parts: ControlsParts) {
    this.#parts = parts;
  }

  /** The step in flight is the last. A run that has ended stays as it is. */
  async cancel(owner: string, id: string): Promise<RunRecord> {
    return await this.#ask(owner, id, { cancel: true });
  }

  /** @throws `run_over` (409) */
  async pause(owner: string, id: string): Promise<RunRecord> {
    const record = await this.#ask(owner, id, { pause: true });
    if (!isTerminal(record.state)) return record;
    throw runOver(record);
  }

  /** @throws `run_over` (409) */
  async resume(owner: string, id: string): Promise<RunRecord> {
    for (;;) {
      const held = await heldBy(this.#parts.ledger, owner, id);
      const { record } = held;
      if (isTerminal(record.state)) throw runOver(record);
      await this.#control(owner, id, { pause: false });
      if (record.state !== "paused") {
        // A worker may be about to obey the pause: then this was too early, and the run is looked at again.
        const again = await heldBy(this.#parts.ledger, owner, id);
        if (again.record.state !== "paused") return again.record;
        continue;
      }
      const place: [number, number] = [rankOf(record.priority), record.created_at];
      const { record: after, sets } = this.#parts.ledger.next(record, { state: "queued", place }, [
        { type: "run.resumed", data: { step: record.step } },
      ]);
      const landed = await this.#parts.ledger.write(after, {
        checks: [{ key: keys.run(owner, id), version: held.version }],
        sets: [...sets, placeWrite(after)],
      });
      if (landed === null) continue;
      this.#parts.onQueued?.();
      return after;
    }
  }

  /**
   * A run that failed or came too late, again: under its id, from its last durable step, with its deadline and its time at
   * work anew. Where that step cannot be read it begins anew from its input.
   *
   * @throws `run_not_failed` (409)
   */
  async retry(owner: string, id: string): Promise<RunRecord> {
    const { ledger, onQueued } = this.#parts;
    for (;;) {
      const { record, version } = await heldBy(ledger, owner, id);
      const { state, deadline, created_at, priority, error } = record;
      if (state !== "failed" && state !== "expired") throw notFailed(record);
      const now = ledger.now();
      const anew = STATE_LOST.includes(error?.code ?? "");
      const { record: after, sets } = ledger.next(record, {
        ...anew && { step: 0, steps: 0, merges: [], fingerprints: [], exact: true },
        state: "queued",
        place: [rankOf(priority), now],
        attempts: 0,
        error: null,
        started_at: null,
        finished_at: null,
        expires_at: null,
        deadline: deadline === null ? null : now + (deadline - created_at),
      }, [{ type: "run.requeued", data: { reason: "retry", step: anew ? 0 : record.step, wait_ms: 0 } }]);
      const landed = await ledger.write(after, {
        checks: [{ key: keys.run(owner, id), version }],
        sets: [...sets, placeWrite(after)],
        // What was asked before its end is over with it.
        deletes: [keys.dead(id), keys.control(owner, id), ...anew ? [keys.state(owner, id)] : []],
      });
      if (landed === null) continue;
      onQueued?.();
      return after;
    }
  }

  async #ask(owner: string, id: string, control: Control): Promise<RunRecord> {
    for (;;) {
      const held = await heldBy(this.#parts.ledger, owner, id);
      const { record } = held;
      if (isTerminal(record.state) || (control.pause === true && record.state === "paused")) return record;
      await this.#control(owner, id, control);
      if (record.state === "running") {
        // The worker that holds it obeys at its next step, and so does whoever holds it after that worker.
        const again = await heldBy(this.#parts.ledger, owner, id);
        if (again.record.state === "running" || isTerminal(again.record.state)) return again.record;
        continue;
      }
      const settled = settle(record, control, Number.NEGATIVE_INFINITY);
      if (settled === null) return record;
      const after = await this.#settleWaiting(held, settled);
      if (after !== null) return after;
    }
  }

  async #settleWaiting({ record, version }: Held, { changes, events }: Settled): Promise<RunRecord | null> {
    const { record: after, sets } = this.#parts.ledger.next(record, changes, events);
    const place = placeKey(record);
    const landed = await this.#parts.ledger.write(after, {
      checks: [{ key: keys.run(record.owner, record.id), version }],
      sets,
      deletes: place === null ? [] : [place],
    });
    return landed === null ? null : after;
  }

  async #control(owner: string, id: string, change: Control): Promise<void> {
    const key = keys.control(owner, id);
    for (;;) {
      const entry = await this.#parts.ledger.store.get<Control & { write_id: string }>(key);
      const value = { ...entry?.value, ...change, write_id: newWriteId() };
      const checks = [{ key, version: entry?.version ?? null }];
      if (await land(this.#parts.ledger.store, { checks, sets: [{ key, value }] }, key, value.write_id) === null) {
        continue;
      }
      this.#parts.onControl?.(id, value);
      return;
    }
  }
}

function notFailed({ state }: RunRecord): UnmaskError {
  return new UnmaskError({
    code: "run_not_failed",
    message: `this run is ${state}, and only one that failed or came too late can be tried again`,
    fix: "fork it, or start a new one",
    status: 409,
  });
}

function runOver({ state }: RunRecord): UnmaskError {
  return new UnmaskError({
    code: "run_over",
    message: `this run is ${state}`,
    fix: "fork it, or start a new one",
    status: 409,
  });
}
