/**
 * The sweep: expired entries, and parts of blobs that no head names. An upload that is still being written looks the
 * same as one whose writer has died, so its mark must be of a run that is over, or have been seen here unchanged for a
 * grace period on this process's own clock: two machines' clocks are never compared.
 *
 * @module
 */

import type { BlobHead, BlobKey, BlobMark } from "./blobs.ts";
import { markKey, partKey, unlink } from "./blobs.ts";
import { type Entry, type Key, listAll, type Store } from "./types.ts";

export interface SweepOptions {
  /** Whether nobody can be writing blobs of this run any more: it has ended, or does not exist. */
  readonly isOver: (owner: string, run: string) => Promise<boolean>;
  /** Milliseconds without a change before an upload of a living run is given up. @default {3_600_000} */
  readonly grace_ms?: number;
  /** Milliseconds, monotonic. */
  readonly monotonic?: () => number;
}

/** What one sweep removed. */
export interface Swept {
  readonly expired: number;
  readonly uploads: number;
  readonly parts: number;
}

/** Deletes of one commit: their keys must fit it. */
const BATCH = 200;

/** Keeps what it has seen from one sweep to the next; one for each process that sweeps. */
export class Sweeper {
  readonly #store: Store;
  readonly #options: SweepOptions;
  /** Mark's version to the moment of its first sight. */
  #seen = new Map<string, number>();

  constructor(store: Store, options: SweepOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** May run in several processes at once. @throws what {@linkcode Store} throws */
  async sweep(): Promise<Swept> {
    let [expired, uploads, parts] = [0, 0, 0];
    for (let removed = -1; removed !== 0; expired += removed) removed = await this.#store.sweepExpired();
    const seen = new Map<string, number>();
    for await (const mark of listAll<BlobMark>(this.#store, { prefix: ["blob_mark"] })) {
      const [, owner, run, upload] = mark.key.map(String) as [string, string, string, string];
      const now = (this.#options.monotonic ?? (() => performance.now()))();
      const first = this.#seen.get(mark.version) ?? now;
      const stale = now - first >= (this.#options.grace_ms ?? 3_600_000);
      if (!stale && !(await this.#options.isOver(owner, run))) {
        seen.set(mark.version, first);
        continue;
      }
      const removed = await this.#give({ owner, run, name: mark.value.name }, upload, mark);
      if (removed !== null) [uploads, parts] = [uploads + 1, parts + removed];
    }
    this.#seen = seen;
    return { expired, uploads, parts };
  }

  /** Null when the upload was finished, or given up by another sweeper, in the meantime. */
  async #give(key: BlobKey, upload: string, mark: Entry<BlobMark>): Promise<number | null> {
    // A new version of the mark first: whoever still writes parts or a head checks the old one, and stops.
    const stop = { checks: [{ key: mark.key, version: mark.version }], sets: [{ key: mark.key, value: mark.value }] };
    if (!(await this.#store.commit(stop)).ok) return null;
    const keys = Array.from({ length: mark.value.parts }, (_, i) => partKey(key, upload, i));
    await removeAll(this.#store, keys);
    await this.#store.commit({ deletes: [markKey(key, upload)] });
    return keys.length;
  }
}

/** Takes away all blobs of a run, parts and all. For runs that are over. Returns how many there were. */
export async function deleteBlobsOf(store: Store, owner: string, run: string): Promise<number> {
  let blobs = 0;
  for await (const head of listAll<BlobHead>(store, { prefix: ["blob", owner, run] })) {
    const key: BlobKey = { owner, run, name: String(head.key[3]) };
    if ((await store.commit(unlink(key, head))).ok) blobs++;
  }
  for (const prefix of [["blob_part", owner, run], ["blob_mark", owner, run]]) {
    const keys: Key[] = [];
    for await (const entry of listAll(store, { prefix, limit: 10 })) keys.push(entry.key);
    await removeAll(store, keys);
  }
  return blobs;
}

/**
 * Every part in the store that no head names, whether or not a mark tells of it: what must be none after a sweep once
 * all runs are over. Reads all of the blobs; for tests and for `doctor`.
 */
export async function orphanedParts(store: Store): Promise<Key[]> {
  const named = new Set<string>();
  for await (const head of listAll<BlobHead>(store, { prefix: ["blob"] })) {
    if (head.value.upload !== null) named.add(head.value.upload);
  }
  const orphans: Key[] = [];
  for await (const part of listAll(store, { prefix: ["blob_part"], limit: 10 })) {
    if (!named.has(String(part.key[3]))) orphans.push(part.key);
  }
  return orphans;
}

async function removeAll(store: Store, keys: readonly Key[]): Promise<void> {
  for (let i = 0; i < keys.length; i += BATCH) await store.commit({ deletes: keys.slice(i, i + BATCH) });
}
