/**
 * Runs without an engine: a store that workers elsewhere share. It accepts, follows and serves; it computes nothing, and
 * loads neither a runtime nor an image codec.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import { ApiKeys } from "./api_keys.ts";
import { Ledger } from "./ledger.ts";
import { Links } from "./links.ts";
import { Runs } from "./service.ts";
import { KINDS } from "./state/kinds.ts";
import { openStore } from "./store/open.ts";
import type { StoreInfo } from "./store/types.ts";
import { NO_WEBHOOKS, type WebhookConfig } from "./webhooks/endpoint.ts";
import { makeOutbox } from "./webhooks/outbox.ts";

export interface FrontOptions {
  /** The address of a KV Connect server. */
  readonly store: string;
  readonly webhooks?: WebhookConfig;
  readonly admission?: AdmissionOptions;
}

export interface Front {
  readonly runs: Runs;
  readonly store: StoreInfo;
  readonly keys: ApiKeys;
  readonly links: Links;
  close(): Promise<void>;
}

/** @throws {UnmaskError} `store_not_shared`, and what opening the store refuses */
export async function openFront({ store: where, webhooks = NO_WEBHOOKS, admission }: FrontOptions): Promise<Front> {
  const store = await openStore(where);
  try {
    if (!store.info.shared) {
      throw new UnmaskError({
        code: "store_not_shared",
        message: "a front without an engine needs a store that workers elsewhere can reach",
        fix: "name a KV Connect server, such as http://127.0.0.1:4512 (denokv)",
        status: 500,
      });
    }
    // What the outbox holds is sent by the workers.
    const ledger = new Ledger(store, { outbox: makeOutbox(webhooks) });
    const gate = new Admission(store, admission);
    const runs = new Runs({ ledger, kinds: KINDS, webhooks, admit: (owner) => gate.admit(owner) });
    const links = await Links.of(store);
    return { runs, store: store.info, keys: new ApiKeys(store), links, close: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}
