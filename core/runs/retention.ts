/**
 * What ended runs leave behind, removed after their time; and parts of blobs that nobody will ever name. Our own expiry,
 * since a store's is a lower bound (field-notes row 14).
 *
 * @module
 */
import { isUploadId, keys } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { isTerminal, parseRecord } from "./record.ts";
import { deleteBlobsOf, Sweeper } from "./store/sweep.ts";
import { type Key, listAll } from "./store/types.ts";
import { sweepUploads } from "./uploads.ts";
import { deleteMessagesOf } from "./webhooks/deliveries.ts";

export class Retention {
  readonly #ledger: Ledger;
  readonly #sweeper: Sweeper;

  /** @param grace ms after which an unfinished upload of a living run is given up */
  constructor(ledger: Ledger, grace = 3_600_000) {
    this.#ledger = ledger;
    const isOver = async (owner: string, run: string) => {
      // Its record comes after its bytes: an upload without one may be on its way.
      if (isUploadId(run)) return false;
      const held = await ledger.read(owner, run);
      return held === null || isTerminal(held.record.state);
    };
    this.#sweeper = new Sweeper(ledger.store, { isOver, grace_ms: grace });
  }

  /** One round. @returns the number of runs that were removed */
  async sweep(): Promise<number> {
    let removed = 0;
    for await (const { value } of listAll(this.#ledger.store, { prefix: ["run"] })) {
      const { owner, id, expires_at } = parseRecord(value);
      if (expires_at === null || expires_at > this.#ledger.now()) continue;
      await this.#remove(owner, id);
      removed++;
    }
    await sweepUploads(this.#ledger);
    await this.#sweeper.sweep();
    return removed;
  }

  /** The record goes last: a round that is cut short is taken up by the next one. */
  async #remove(owner: string, id: string): Promise<void> {
    const { store } = this.#ledger;
    await deleteBlobsOf(store, owner, id);
    await deleteMessagesOf(store, owner, id);
    let batch: Key[] = [];
    for await (const { key } of listAll(store, { prefix: keys.eventsOf(owner, id) })) {
      batch.push(key);
      if (batch.length < 200) continue;
      await store.commit({ deletes: batch });
      batch = [];
    }
    const rest = [keys.state(owner, id), keys.origin(owner, id), keys.control(owner, id), keys.dead(id)];
    await store.commit({ deletes: [...batch, ...rest, keys.run(owner, id)] });
  }
}
