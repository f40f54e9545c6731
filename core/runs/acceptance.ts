/**
 * How a run comes to be: its input is checked, its pictures are put beside it, and then record, place in the queue and
 * idempotency key are one commit.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { digestOf, withIdempotency } from "./idempotency.ts";
import { fillFiles, type InputFile, type InputJson, referencesOf, STAND_IN, takeFiles } from "./input_files.ts";
import { keys } from "./keys.ts";
import { heldBy, type Ledger } from "./ledger.ts";
import { newRecord, type RunOptions } from "./new_record.ts";
import { placeWrite } from "./queue.ts";
import type { Origin, RunRecord } from "./record.ts";
import type { CreateRequest } from "./run_request.ts";
import { budgetOf, type Kind, kindOf } from "./state/kind.ts";
import { stageState } from "./stored_state.ts";
import { putBlob, readBlob } from "./store/blobs.ts";
import { deleteBlobsOf } from "./store/sweep.ts";
import type { Commit } from "./store/types.ts";
import { NO_WEBHOOKS, parseRunWebhooks, type WebhookConfig } from "./webhooks/endpoint.ts";

export interface AcceptanceOptions {
  readonly ledger: Ledger;
  readonly kinds: readonly Kind[];
  /**
   * Refuses what the model cannot do before a run is accepted; a front without an engine has none.
   *
   * @param begin the run begins with the state that this checks, and may be begun at once
   */
  readonly check?: (task: string, input: unknown, begin: boolean) => Promise<void>;
  /** Refuses one run more of an owner when too many are unfinished; see admission.ts. */
  readonly admit?: (owner: string) => Promise<void>;
  /** Told when something is queued, so that a worker in this process need not poll for it. */
  readonly onQueued?: () => void;
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

/** What somebody asks for. */
export interface Wish {
  readonly owner: string;
  readonly task: string;
  readonly input: RunRequest["input"];
  readonly options: RunOptions;
  /** Of a fork or redraw: where it begins, and its parent's state. */
  readonly from?: { readonly origin: Origin; readonly bytes: Uint8Array };
  /** What an idempotency key stands for. */
  readonly asked: unknown;
  readonly idempotencyKey: string | undefined;
  /** Who else is told of the run, once it has an id. */
  readonly webhooks?: ((record: RunRecord) => RunRecord["webhooks"]) | undefined;
}

export class Acceptance {
  readonly #options: AcceptanceOptions;

  constructor(options: AcceptanceOptions) {
    this.#options = options;
  }

  /** @throws {UnmaskError} `task_unknown`, `budget_unsupported`, `idempotency_key_reused` (422), what the task refuses */
  async accept(wish: Wish): Promise<Accepted> {
    const { ledger, kinds, onQueued, check, admit, idempotency = 86_400_000 } = this.#options;
    const { owner, task, options, from, idempotencyKey } = wish;
    const kind = kindOf(kinds, task);
    if (typeof options.budget_ms === "number") budgetOf(kind);
    const { input, files: taken } = takeFiles(wish.input, kind.files ?? []);
    const chance = kind.seedless === true ? {} : { seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 };
    const seeded = { ...chance, ...input };
    kind.parse(await fillFiles(seeded, () => STAND_IN));
    const config = this.#options.webhooks ?? NO_WEBHOOKS;
    parseRunWebhooks(options.webhooks ?? [], config);
    const digest = idempotencyKey === undefined ? "" : digestOf(wish.asked);
    const known = idempotencyKey === undefined ? null : await this.#attached(owner, idempotencyKey, digest);
    if (known !== null) return known;
    await admit?.(owner);
    const files = [...taken, ...await this.#inherited(owner, from?.origin.run, seeded, taken)];
    const bytesOf = (name: string) => files.find((file) => file.name === name)?.bytes;
    // A fork begins from another state, and under a budget a merge may come before the first step.
    const begin = from === undefined && options.budget_ms === undefined;
    await check?.(task, await fillFiles(seeded, ({ file }) => bytesOf(file)), begin);
    const first = newRecord(ledger.now(), owner, task, seeded, options, from?.origin ?? null);
    const more = wish.webhooks?.(first) ?? [];
    parseRunWebhooks(more, config);
    const record = more.length === 0 ? first : { ...first, webhooks: [...first.webhooks, ...more] };
    for (const { name, type, bytes } of files) {
      await putBlob(ledger.store, { owner, run: record.id, name }, bytes, type);
    }
    const state = from === undefined
      ? {}
      : await stageState(ledger.store, keys.origin(owner, record.id), record, from.bytes);
    const { record: queued, sets } = ledger.next(record, {}, [{ type: "run.queued", data: { task } }]);
    const commit: Commit = {
      checks: [{ key: keys.run(owner, queued.id), version: null }, ...state.checks ?? []],
      sets: [...sets, placeWrite(queued), ...state.sets ?? []],
      deletes: state.deletes ?? [],
    };
    const landed = await ledger.write(
      queued,
      withIdempotency(commit, owner, idempotencyKey, {
        key: keys.idempotency(owner, idempotencyKey ?? ""),
        value: { digest, run: queued.id },
        expires_at: ledger.now() + idempotency,
      }),
    );
    if (landed !== null) {
      onQueued?.();
      return { record: queued, attached: false };
    }
    if (files.length > 0 && await ledger.read(owner, queued.id) === null) {
      // Nobody will ever ask for them.
      await deleteBlobsOf(ledger.store, owner, queued.id);
    }
    const other = idempotencyKey === undefined ? null : await this.#attached(owner, idempotencyKey, digest);
    if (other !== null) return other;
    const own = await ledger.read(owner, queued.id);
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
      const blob = await readBlob(this.#options.ledger.store, { owner, run: parent, name: file });
      if (blob === null) throw inputNotAFile();
      return { name: file, type: media_type, bytes: blob.bytes };
    }));
  }

  async #attached(owner: string, key: string, digest: string): Promise<Accepted | null> {
    const entry = await this.#options.ledger.store.get<{ digest: string; run: string }>(keys.idempotency(owner, key));
    if (entry === null) return null;
    if (entry.value.digest !== digest) {
      throw new UnmaskError({
        code: "idempotency_key_reused",
        message: "this Idempotency-Key came with another body before",
        fix: "use a new key for a new request",
        status: 422,
      });
    }
    const { record } = await heldBy(this.#options.ledger, owner, entry.value.run);
    return { record, attached: true };
  }
}

function inputNotAFile(): UnmaskError {
  return new UnmaskError({
    code: "image_invalid",
    message: "a picture of the input names a file that is not there",
    fix: "send the picture's bytes in base64",
    param: "image",
  });
}
