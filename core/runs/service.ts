/**
 * Runs as the doors see them: asked for, looked at, and controlled. Needs a store and no engine.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { RESULT } from "./active_run.ts";
import { Controls } from "./controls.ts";
import { digestOf, withIdempotency } from "./idempotency.ts";
import { fillFiles, type InputFile, type InputJson, referencesOf, STAND_IN, takeFiles } from "./input_files.ts";
import { keys } from "./keys.ts";
import { heldBy, type Ledger } from "./ledger.ts";
import { newRecord, type RunOptions } from "./new_record.ts";
import { placeWrite } from "./queue.ts";
import { type Control, isTerminal, type Origin, parseRecord, type RunRecord } from "./record.ts";
import type { CreateRequest, ForkRequest, RedrawRequest } from "./run_request.ts";
import { type Kind, kindOf, pictureOf } from "./state/kind.ts";
import { readState, stageState } from "./stored_state.ts";
import { putBlob, readBlob } from "./store/blobs.ts";
import { deleteBlobsOf } from "./store/sweep.ts";
import type { Commit } from "./store/types.ts";
import { NO_WEBHOOKS, parseRunWebhooks, type WebhookConfig } from "./webhooks/endpoint.ts";

export interface RunsOptions {
  readonly ledger: Ledger;
  readonly kinds: readonly Kind[];
  /** Refuses what the model cannot do before a run is accepted; a front without an engine has none. */
  readonly check?: (task: string, input: unknown) => Promise<void>;
  /** Refuses one run more of an owner when too many are unfinished; see admission.ts. */
  readonly admit?: (owner: string) => Promise<void>;
  /** Told when something is queued, so that a worker in this process need not poll for it. */
  readonly onQueued?: () => void;
  /** Told what was asked of a run, so that a worker in this process obeys at once. */
  readonly onControl?: (id: string, control: Control) => void;
  /** What signs for webhooks that a run names without secrets. */
  readonly webhooks?: WebhookConfig;
  /** How long an idempotency key is kept, in ms. @default {1 day} */
  readonly idempotency?: number;
}

/** A request of this process: its pictures may be bytes, where JSON has them in base64. */
export type RunRequest = Omit<CreateRequest, "input"> & { readonly input: Readonly<Record<string, unknown>> };

export interface Accepted {
  readonly record: RunRecord;
  /** An earlier request with the same idempotency key made it. */
  readonly attached: boolean;
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
  readonly #controls: Controls;

  constructor(options: RunsOptions) {
    this.#options = options;
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
    return await this.#accept(owner, task, input, options, null, asked, idempotencyKey, webhooks);
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
    return await this.#accept(owner, record.task, changed, options, { origin, bytes }, [id, request], idempotencyKey);
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
    return await this.#accept(owner, record.task, changed, options, { origin, bytes }, [id, request], idempotencyKey);
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

  async #accept(
    owner: string,
    task: string,
    given: RunRequest["input"],
    options: RunOptions,
    from: { readonly origin: Origin; readonly bytes: Uint8Array } | null,
    body: unknown,
    idempotencyKey: string | undefined,
    webhooks?: Protocol["webhooks"],
  ): Promise<Accepted> {
    const kind = kindOf(this.kinds, task);
    const { input, files: taken } = takeFiles(given, kind.files ?? []);
    const chance = kind.seedless === true ? {} : { seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 };
    const seeded = { ...chance, ...input };
    kind.parse(await fillFiles(seeded, () => STAND_IN));
    const config = this.#options.webhooks ?? NO_WEBHOOKS;
    parseRunWebhooks(options.webhooks ?? [], config);
    const digest = digestOf(body);
    const known = idempotencyKey === undefined ? null : await this.#attached(owner, idempotencyKey, digest);
    if (known !== null) return known;
    await this.#options.admit?.(owner);
    const files = [...taken, ...await this.#inherited(owner, from?.origin.run, seeded, taken)];
    const bytesOf = (name: string) => files.find((file) => file.name === name)?.bytes;
    await this.#options.check?.(task, await fillFiles(seeded, ({ file }) => bytesOf(file)));
    const first = newRecord(this.ledger.now(), owner, task, seeded, options, from?.origin ?? null);
    const more = webhooks?.(first) ?? [];
    parseRunWebhooks(more, config);
    const record = more.length === 0 ? first : { ...first, webhooks: [...first.webhooks, ...more] };
    for (const { name, type, bytes } of files) {
      await putBlob(this.ledger.store, { owner, run: record.id, name }, bytes, type);
    }
    const state = from === null
      ? {}
      : await stageState(this.ledger.store, keys.origin(owner, record.id), record, from.bytes);
    const { record: queued, sets } = this.ledger.next(record, {}, [{ type: "run.queued", data: { task } }]);
    const commit: Commit = {
      checks: [{ key: keys.run(owner, queued.id), version: null }, ...state.checks ?? []],
      sets: [...sets, placeWrite(queued), ...state.sets ?? []],
      deletes: state.deletes ?? [],
    };
    const landed = await this.ledger.write(
      queued,
      withIdempotency(commit, owner, idempotencyKey, {
        key: keys.idempotency(owner, idempotencyKey ?? ""),
        value: { digest, run: queued.id },
        expires_at: this.ledger.now() + (this.#options.idempotency ?? 86_400_000),
      }),
    );
    if (landed !== null) {
      this.#options.onQueued?.();
      return { record: queued, attached: false };
    }
    if (files.length > 0 && await this.ledger.read(owner, queued.id) === null) {
      // Nobody will ever ask for them.
      await deleteBlobsOf(this.ledger.store, owner, queued.id);
    }
    const other = idempotencyKey === undefined ? null : await this.#attached(owner, idempotencyKey, digest);
    if (other !== null) return other;
    const own = await this.ledger.read(owner, queued.id);
    if (own !== null) return { record: own.record, attached: false };
    throw new UnmaskError({
      code: "run_not_accepted",
      message: "the store took another write first",
      fix: "send the request again",
      status: 503,
    });
  }

  /** Pictures that a fork or redraw takes over from its parent: they become its own. */
  async #inherited(
    owner: string,
    parent: string | undefined,
    input: InputJson,
    taken: readonly InputFile[],
  ): Promise<readonly InputFile[]> {
    const missing = referencesOf(input).filter(({ file }) => taken.every(({ name }) => name !== file));
    if (missing.length === 0) return [];
    // A reference that came from outside names nothing.
    if (parent === undefined) throw inputNotAFile();
    return await Promise.all(missing.map(async ({ file, media_type }) => {
      const blob = await readBlob(this.ledger.store, { owner, run: parent, name: file });
      if (blob === null) throw inputNotAFile();
      return { name: file, type: media_type, bytes: blob.bytes };
    }));
  }

  /** The run that a request with this idempotency key made. @throws `run_not_found` */
  async find(owner: string, idempotencyKey: string): Promise<RunRecord> {
    const entry = await this.ledger.store.get<{ run: string }>(keys.idempotency(owner, idempotencyKey));
    return await this.get(owner, entry?.value.run ?? "");
  }

  async #attached(owner: string, key: string, digest: string): Promise<Accepted | null> {
    const entry = await this.ledger.store.get<{ digest: string; run: string }>(keys.idempotency(owner, key));
    if (entry === null) return null;
    if (entry.value.digest !== digest) {
      throw new UnmaskError({
        code: "idempotency_key_reused",
        message: "this Idempotency-Key came with another body before",
        fix: "use a new key for a new request",
        status: 422,
      });
    }
    return { record: await this.get(owner, entry.value.run), attached: true };
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

  /** {@linkcode state} of a run whose record is at hand. */
  async stateOf({ owner, id }: RunRecord): Promise<Uint8Array | null> {
    return await readState(this.ledger.store, keys.state(owner, id), owner, id);
  }

  /** @throws `run_not_finished` (409), `run_not_found` */
  async result(owner: string, id: string): Promise<{ readonly record: RunRecord; readonly bytes: Uint8Array }> {
    const record = await this.get(owner, id);
    return { record, bytes: await this.resultOf(record) };
  }

  /** {@linkcode result} of a run whose last record is at hand: its file's bytes. @throws `run_not_finished` (409) */
  async resultOf(record: RunRecord): Promise<Uint8Array> {
    const { owner, id } = record;
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

function inputNotAFile(): UnmaskError {
  return new UnmaskError({
    code: "image_invalid",
    message: "a picture of the input names a file that is not there",
    fix: "send the picture's bytes in base64",
    param: "image",
  });
}
