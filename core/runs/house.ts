/**
 * A store, a worker over an inference thread, and the runs of both: what `deno task start` has inside and
 * `deno task worker` is.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { UnmaskError } from "../errors.ts";
import type { RemoteInference } from "../tasks/remote.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import { ApiKeys } from "./api_keys.ts";
import { Ledger, type LedgerOptions } from "./ledger.ts";
import { cardOf, writeCard } from "./model_card.ts";
import { workPreviews } from "./preview_jobs.ts";
import { Links } from "./links.ts";
import { Retention } from "./retention.ts";
import { Runs } from "./service.ts";
import { KINDS } from "./state/kinds.ts";
import type { EncodeOutput, StepEngine } from "./step_engine.ts";
import { openStore } from "./store/open.ts";
import type { StoreInfo } from "./store/types.ts";
import { threadEngine } from "./thread_engine.ts";
import { Dispatcher } from "./webhooks/dispatcher.ts";
import { NO_WEBHOOKS, type WebhookConfig } from "./webhooks/endpoint.ts";
import { makeOutbox } from "./webhooks/outbox.ts";
import type { Delivery } from "./webhooks/settings.ts";
import { Worker, type WorkerOptions } from "./worker.ts";

/** Where runs are kept when nobody says: one file, for one process. */
export const DEFAULT_STORE = ".unmask/runs.db";

/** Ms between two sweeps. */
const SWEEP = 600_000;

/**
 * Ms between two looks at the queue and at the leases of a store of this process alone. All that is queued there rings
 * for the worker, and leases of others are those of processes that have ended: only these, and runs that wait before
 * another attempt, are found by looking. Each look takes some of a millisecond from the steps.
 */
const OWN_POLL = 1000;

export { KINDS };

export interface HouseOptions extends Partial<Pick<WorkerOptions, "id" | "slots" | "lease" | "poll" | "log">> {
  readonly inference: RemoteInference;
  readonly modelFolder: string;
  /** A file, the address of a KV Connect server, or `:memory:`. */
  readonly store: string;
  readonly encode: EncodeOutput;
  /** Whom this server tells of runs; without it, only the addresses that a run names with its own secrets. */
  readonly webhooks?: WebhookConfig;
  /** When deliveries are tried again. @default {null}, as Standard Webhooks says */
  readonly delivery?: Delivery | null;
  /** How much may be unfinished at once. */
  readonly admission?: AdmissionOptions;
  /** What counts and traces: told of commits, and of attempts to deliver webhooks. */
  readonly observe?: LedgerOptions["observe"];
  readonly onDelivery?: (outcome: string) => void;
}

export interface House {
  readonly runs: Runs;
  readonly engine: StepEngine;
  readonly worker: Worker;
  readonly store: StoreInfo;
  readonly keys: ApiKeys;
  /** Signs what needs no key. */
  readonly links: Links;
  /** Sends what the outbox holds. */
  readonly dispatcher: Dispatcher;
  /** Finishes the steps at work, saves, hands the leases back, closes the store. The inference stays open. */
  close(): Promise<void>;
}

/** @throws {UnmaskError} what opening the store refuses; `no_steps` for an inference that gives whole pictures only */
export async function openHouse(options: HouseOptions): Promise<House> {
  const {
    inference,
    modelFolder,
    store: where,
    encode,
    webhooks = NO_WEBHOOKS,
    delivery = null,
    admission = {},
    observe,
    onDelivery = () => {},
    ...rest
  } = options;
  const { steps } = inference;
  if (steps === undefined) {
    throw new UnmaskError({
      code: "no_steps",
      message: "this inference gives whole pictures only",
      fix: "open a model of this machine",
      status: 501,
    });
  }
  if (where !== ":memory:" && !/^https?:/.test(where)) await mkdir(dirname(where), { recursive: true });
  const store = await openStore(where);
  try {
    const dispatcher = new Dispatcher({ store, config: webhooks, observe: onDelivery, ...delivery });
    const ledger = new Ledger(store, {
      outbox: makeOutbox(webhooks, () => dispatcher.wake()),
      ...(observe === undefined ? {} : { observe }),
    });
    const engine = await threadEngine(inference.info, steps, modelFolder);
    // For fronts, which are elsewhere.
    const { shared } = store.info;
    const { model, tasks } = inference.info;
    if (shared) await writeCard(store, await cardOf(modelFolder, model, tasks));
    const worker = new Worker({ ledger, engine, kinds: KINDS, encode, ...(shared ? {} : { poll: OWN_POLL }), ...rest });
    const links = await Links.of(store);
    const gate = new Admission(store, admission);
    const runs = new Runs({
      ledger,
      kinds: KINDS,
      webhooks,
      admit: (owner) => gate.admit(owner),
      check: (task, input, begin) => engine.check(task, input, begin),
      onQueued: () => worker.wake(),
      onControl: (id, control) => worker.obey(id, control),
    });
    const retention = new Retention(ledger);
    const sweep = () =>
      void retention.sweep().catch((error: unknown) => rest.log?.({ event: "sweep", cause: String(error) }));
    const timer = setInterval(sweep, SWEEP);
    worker.start();
    const stop = new AbortController();
    const beside = Promise.all([
      dispatcher.run(stop.signal),
      ...(shared
        ? [workPreviews({ runs, engine, encode, ...(rest.log === undefined ? {} : { log: rest.log }) }, stop.signal)]
        : []), // nobody but a front elsewhere asks for previews through the store
    ]);
    const close = async () => {
      clearInterval(timer);
      await worker.stop();
      stop.abort();
      await beside;
      await store.close();
    };
    return { runs, engine, worker, store: store.info, keys: new ApiKeys(store), links, dispatcher, close };
  } catch (error) {
    await store.close();
    throw error;
  }
}
