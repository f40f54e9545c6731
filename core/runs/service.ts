/**
 * Runs as the doors see them: asked for, looked at, and controlled. Needs a store and no engine.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { Acceptance, type AcceptanceOptions, type Accepted, type RunRequest, type Wish } from "./acceptance.ts";
import { RESULT } from "./active_run.ts";
import { Controls } from "./controls.ts";
import { keys } from "./keys.ts";
import { heldBy, type Ledger } from "./ledger.ts";
import { type Control, isTerminal, type Origin, parseRecord, type RunRecord } from "./record.ts";
import type { ForkRequest, RedrawRequest } from "./run_request.ts";
import { type Kind, kindOf, pictureOf } from "./state/kind.ts";
import { readState } from "./stored_state.ts";
import { readBlob } from "./store/blobs.ts";

export interface RunsOptions extends AcceptanceOptions {
  /** Told what was asked of a run, so that a worker in this process obeys at once. */
  readonly onControl?: (id: string, control: Control) => void;
}

/** What the door of another protocol adds to a request. */
export interface Protocol {
  /** What an idempotency key stands for. @default the request */
  readonly asked?: unknown;
  /** Who is told of the run, once it has an id. */
  readonly webhooks?: (record: RunRecord) => RunRecord["webhooks"];
}

export class Runs {
  readonly #options: RunsOptions;
  readonly #acceptance: Acceptance;
  readonly #controls: Controls;

  constructor(options: RunsOptions) {
    this.#options = options;
    this.#acceptance = new Acceptance(options);
    this.#controls = new Controls(options);
  }

  get ledger(): Ledger {
    return this.#options.ledger;
  }

  get kinds(): readonly Kind[] {
    return this.#options.kinds;
  }

  /** @throws {UnmaskError} `task_unknown`, `idempotency_key_reused` (422), what the task refuses */
  async create(
    owner: string,
    request: RunRequest,
    idempotencyKey?: string,
    { asked = request, webhooks }: Protocol = {},
  ): Promise<Accepted> {
    const { task, input, ...options } = request;
    return await this.#acceptance.accept({ owner, task, input, options, asked, idempotencyKey, webhooks });
  }

  /** A run from step `step` of another, with changes to its input. @throws `fork_out_of_range`, `run_not_found` */
  async fork(owner: string, id: string, request: ForkRequest, idempotencyKey?: string): Promise<Accepted> {
    const { step, input, ...options } = request;
    const { record, bytes } = await this.#parent(owner, id);
    const kind = kindOf(this.kinds, record.task);
    pictureOf(kind);
    const parent = kind.decode(bytes);
    const changed = { ...record.input, ...input };
    if (kind.progress(parent).step < step) {
      throw new UnmaskError({
        code: "fork_out_of_range",
        message: `this run has done ${kind.progress(parent).step} steps`,
        fix: "fork at a step that the run has done",
        param: "step",
      });
    }
    const origin: Origin = { kind: "fork", run: id, step };
    const from = { origin, bytes };
    return await this.#branch(record, { input: changed, options, from, asked: [id, request], idempotencyKey });
  }

  /** A run that redraws `positions` of a finished one. @throws `redraw_too_early`, `region_empty`, `run_not_found` */
  async redraw(
    owner: string,
    id: string,
    request: RedrawRequest,
    region: (side: number) => Promise<Uint32Array>,
    idempotencyKey?: string,
  ): Promise<Accepted> {
    const { boxes: _, mask: __, input, ...options } = request;
    const { record, bytes } = await this.#parent(owner, id);
    const kind = kindOf(this.kinds, record.task);
    const picture = pictureOf(kind);
    const parent = kind.decode(bytes);
    const positions = await region(Math.sqrt(picture.sequence(parent).ids.length));
    // Refuses here what the worker would refuse later.
    picture.redraw(parent, parent, positions);
    const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const changed = { ...record.input, seed, ...input };
    const origin: Origin = { kind: "redraw", run: id, step: record.step, positions: [...positions] };
    const from = { origin, bytes };
    return await this.#branch(record, { input: changed, options, from, asked: [id, request], idempotencyKey });
  }

  /** A run of its parent's owner and task. */
  async #branch({ owner, task }: RunRecord, wish: Omit<Wish, "owner" | "task">): Promise<Accepted> {
    return await this.#acceptance.accept({ ...wish, owner, task });
  }

  async #parent(owner: string, id: string): Promise<{ record: RunRecord; bytes: Uint8Array }> {
    const { record } = await heldBy(this.ledger, owner, id);
    const bytes = await readState(this.ledger.store, keys.state(owner, id), owner, id);
    if (bytes !== null) return { record, bytes };
    throw new UnmaskError({
      code: "run_not_begun",
      message: "this run has done no step yet",
      fix: "wait for its first step, or start a new run",
      status: 409,
    });
  }

  /** The run that a request with this idempotency key made. @throws `run_not_found` */
  async find(owner: string, idempotencyKey: string): Promise<RunRecord> {
    const entry = await this.ledger.store.get<{ run: string }>(keys.idempotency(owner, idempotencyKey));
    return await this.get(owner, entry?.value.run ?? "");
  }

  /** @throws {UnmaskError} `run_not_found` (404), also for a run of another owner */
  async get(owner: string, id: string): Promise<RunRecord> {
    return (await heldBy(this.ledger, owner, id)).record;
  }

  /**
   * Newest first. The cursor is the last run's id: a store's own cursor would be a stranger's word to it.
   *
   * @throws {UnmaskError} `cursor_invalid`
   */
  async list(
    owner: string,
    { limit = 20, cursor = null }: { readonly limit?: number; readonly cursor?: string | null } = {},
  ): Promise<{ readonly records: readonly RunRecord[]; readonly cursor: string | null }> {
    if (cursor !== null && !/^run_[0-9a-z]{26}$/.test(cursor)) throw cursorInvalid();
    const before = cursor === null ? {} : { end: keys.run(owner, cursor) };
    const page = await this.ledger.store.list({ prefix: keys.runsOf(owner), limit, reverse: true, ...before });
    const records = page.entries.map(({ value }) => parseRecord(value));
    return { records, cursor: page.cursor === null ? null : records.at(-1)?.id ?? null };
  }

  /** The newest durable state's bytes; null before the first step. */
  async state(owner: string, id: string): Promise<Uint8Array | null> {
    return await this.stateOf(await this.get(owner, id));
  }

  /** {@linkcode state} of a run whose record is at hand; of the record with which it ended here, without the store. */
  async stateOf(record: RunRecord): Promise<Uint8Array | null> {
    const { owner, id } = record;
    const brought = this.ledger.here.broughtWith(record)?.state ?? null;
    return brought ?? await readState(this.ledger.store, keys.state(owner, id), owner, id);
  }

  /** @throws `run_not_finished` (409), `run_not_found` */
  async result(owner: string, id: string): Promise<{ readonly record: RunRecord; readonly bytes: Uint8Array }> {
    const record = await this.get(owner, id);
    return { record, bytes: await this.resultOf(record) };
  }

  /**
   * {@linkcode result} of a run whose last record is at hand: its file's bytes; of the record with which it ended here,
   * without the store.
   *
   * @throws `run_not_finished` (409)
   */
  async resultOf(record: RunRecord): Promise<Uint8Array> {
    const { owner, id } = record;
    const brought = this.ledger.here.broughtWith(record)?.file ?? null;
    if (brought !== null) return brought;
    const blob = record.state === "succeeded"
      ? await readBlob(this.ledger.store, { owner, run: id, name: RESULT })
      : null;
    if (blob !== null) return blob.bytes;
    const over = isTerminal(record.state);
    throw new UnmaskError({
      code: over ? "run_without_result" : "run_not_finished",
      message: over ? `this run is ${record.state} and has no result` : `this run is ${record.state}`,
      fix: over ? "fork it at its last step, or start it again" : "wait for it, or follow its events",
      status: 409,
    });
  }

  /** The step in flight is the last. A run that has ended stays as it is. */
  async cancel(owner: string, id: string): Promise<RunRecord> {
    return await this.#controls.cancel(owner, id);
  }

  /** @throws `run_over` (409) */
  async pause(owner: string, id: string): Promise<RunRecord> {
    return await this.#controls.pause(owner, id);
  }

  /** @throws `run_over` (409) */
  async resume(owner: string, id: string): Promise<RunRecord> {
    return await this.#controls.resume(owner, id);
  }

  /** @throws `run_not_failed` (409) */
  async retry(owner: string, id: string): Promise<RunRecord> {
    return await this.#controls.retry(owner, id);
  }
}

function cursorInvalid(): UnmaskError {
  return new UnmaskError({
    code: "cursor_invalid",
    message: "this cursor is none of this list",
    fix: "use the cursor of the page before, or leave it out",
    param: "cursor",
  });
}
