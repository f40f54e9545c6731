/**
 * A server without an engine over the shared store: what the callers of the chaos run talk to. It reaches the store over
 * a proxy, as the workers do, so its commits lose their answers too.
 *
 * @module
 */
import { decodePicture, encodePicture } from "../../core/image/codec.ts";
import { KINDS } from "../../core/runs/house.ts";
import { Ledger } from "../../core/runs/ledger.ts";
import { Runs } from "../../core/runs/service.ts";
import { openStore } from "../../core/runs/store/open.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";
import { makeOutbox } from "../../core/runs/webhooks/outbox.ts";
import type { WebhookConfig } from "../../core/runs/webhooks/endpoint.ts";
import { createApp } from "../../functions/app.ts";
import { StoreProxy } from "./proxy.ts";
import type { Witness } from "./witness.ts";

/** How the front's writes are told from a worker's. */
export const FRONT = "front";

export interface Front {
  readonly url: string;
  readonly proxy: StoreProxy;
  /** The same service as behind the routes. */
  readonly runs: Runs;
  close(): Promise<void>;
}

export async function openFront(
  upstream: string,
  witness: Witness,
  webhooks: WebhookConfig,
  imageSize: number,
): Promise<Front> {
  const proxy = new StoreProxy(FRONT, upstream, witness);
  const store = await openStore(proxy.address, { poll_ms: 250 });
  const runs = new Runs({ ledger: new Ledger(store, { outbox: makeOutbox(webhooks) }), kinds: KINDS, webhooks });
  const closing = new AbortController();
  const app = createApp({
    // Never opened: nothing is computed here.
    inference: new Promise<RemoteInference>(() => {}),
    runs: Promise.resolve({
      runs,
      engine: null,
      encode: encodePicture,
      decode: decodePicture,
      imageSize,
      closing: closing.signal,
      heartbeat: 1000,
    }),
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, app.fetch);
  return {
    url: `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`,
    proxy,
    runs,
    close: async () => {
      closing.abort();
      await server.shutdown();
      await store.close();
      await proxy.close();
    },
  };
}
