/**
 * The whole app on a real port over a store in memory, a worker and a table engine: what clients of other protocols are
 * tried against. Nothing of it depends on what a picture shows.
 */
import { ApiKeys } from "../../core/runs/api_keys.ts";
import { Ledger } from "../../core/runs/ledger.ts";
import { Links } from "../../core/runs/links.ts";
import { Runs } from "../../core/runs/service.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../core/runs/store/open.ts";
import type { Store } from "../../core/runs/store/types.ts";
import { Dispatcher } from "../../core/runs/webhooks/dispatcher.ts";
import { NO_WEBHOOKS } from "../../core/runs/webhooks/endpoint.ts";
import { makeOutbox } from "../../core/runs/webhooks/outbox.ts";
import { callTrusted } from "../../core/runs/webhooks/send.ts";
import { Worker } from "../../core/runs/worker.ts";
import { type AppOptions, createApp } from "../../functions/app.ts";
import type { Observers } from "../../functions/observe/observers.ts";
import { plainFile, type TableEngine, tableEngine } from "../core/runs/table_engine.ts";
import { double } from "./double.ts";

export interface RealServer {
  /** Without a slash at its end. */
  readonly url: string;
  readonly runs: Runs;
  readonly store: Store;
  readonly links: Links;
  readonly engine: TableEngine;
  readonly worker: Worker;
  stop(): Promise<void>;
}

export interface RealServerOptions {
  /** Of a run. @default {5} */
  readonly stepMilliseconds?: number;
  /** @default {true} */
  readonly working?: boolean;
  readonly slots?: number;
  readonly observers?: Partial<Observers>;
  readonly app?: Partial<AppOptions>;
}

export async function realServer(options: RealServerOptions = {}): Promise<RealServer> {
  const { stepMilliseconds = 5, working = true, slots = 4, app = {}, observers = {} } = options;
  const store = await openMemory();
  // Receivers of these tests are on this machine, which the product refuses.
  const { observe, onDelivery = () => {}, metrics } = observers;
  const dispatcher = new Dispatcher({ store, config: NO_WEBHOOKS, call: callTrusted, observe: onDelivery });
  const ledger = new Ledger(store, {
    outbox: makeOutbox(NO_WEBHOOKS, () => dispatcher.wake()),
    ...(observe === undefined ? {} : { observe }),
  });
  const engine = tableEngine({ stepMilliseconds });
  const worker = new Worker({ ledger, engine, kinds: [drawKind], encode: plainFile, poll: 30, slots, spacing: 50 });
  const runs = new Runs({
    ledger,
    kinds: [drawKind],
    check: async (task, asked) => void await engine.start(task, asked),
    onQueued: () => worker.wake(),
    onControl: (id, control) => worker.obey(id, control),
  });
  const links = await Links.of(store);
  const closing = new AbortController();
  const protocols = Promise.resolve({
    runs,
    links,
    engine,
    encode: plainFile,
    model: "scenes",
    busy: () => worker.active >= worker.slots,
    closing: closing.signal,
  });
  const { fetch } = createApp({
    inference: Promise.resolve(double()),
    protocols,
    runs: protocols.then(({ runs, engine }) => ({
      runs,
      engine,
      encode: plainFile,
      decode: noPictures,
      imageSize: 128,
    })),
    hooks: Promise.resolve({ runs, hooks: [] }),
    // Tests ask faster than people do.
    access: { policy: "open", keys: Promise.resolve(new ApiKeys(store)), rate: { rate: 1_000_000 } },
    ...(metrics === undefined ? {} : { metrics }),
    ...app,
  });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, fetch);
  const stopSending = new AbortController();
  const sending = dispatcher.run(stopSending.signal);
  if (working) worker.start();
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    runs,
    store,
    links,
    engine,
    worker,
    async stop() {
      closing.abort();
      stopSending.abort();
      await server.shutdown();
      await worker.stop();
      await sending;
      await store.close();
    },
  };
}

const noPictures = () => Promise.reject(new Error("no picture is read here"));

/** Waits for what must come; fails the test if it does not. */
export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const end = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`no ${what} within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
