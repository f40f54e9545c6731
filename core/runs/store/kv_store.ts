/**
 * The {@linkcode Store} over a Deno KV client: sizes checked first, values in bytes of our own, an expiry that reads
 * see, a bound on how long an answer may take, and errors with a code.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import type { KvClient, KvEntry, KvSelector } from "./client.ts";
import { decode, encode } from "./codec.ts";
import { closed, storeFailure, unreachable } from "./failures.ts";
import { checkCommit, checkKey, checkValueBytes, LIMITS } from "./limits.ts";
import type { Check, Commit, CommitResult, Entry, Key, ListOptions, Page, Store, StoreInfo } from "./types.ts";
import { watchEntries } from "./watch.ts";

/** Index of what expires: this name, the time, then the entry's own key. */
const EXPIRY = "_expiry";

export interface KvStoreOptions {
  /** Milliseconds that one operation may take before it counts as unanswered. @default {10_000} */
  readonly timeout_ms?: number;
  /** Milliseconds between two looks at watched keys where the store itself tells of no change. @default {1000} */
  readonly poll_ms?: number;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  /** Runs once the client is closed, to let go of a lock. */
  readonly onClose?: () => void | Promise<void>;
}

export class KvStore implements Store {
  readonly info: StoreInfo;
  readonly #kv: KvClient;
  readonly #timeout_ms: number;
  readonly #poll_ms: number;
  readonly #now: () => number;
  readonly #onClose: () => void | Promise<void>;
  readonly #closing = new AbortController();

  constructor(kv: KvClient, info: StoreInfo, options: KvStoreOptions = {}) {
    this.#kv = kv;
    this.info = info;
    this.#timeout_ms = options.timeout_ms ?? 10_000;
    this.#poll_ms = options.poll_ms ?? 1000;
    this.#now = options.now ?? Date.now;
    this.#onClose = options.onClose ?? (() => {});
  }

  async get<T = unknown>(key: Key): Promise<Entry<T> | null> {
    return (await this.getMany<T>([key]))[0] ?? null;
  }

  async getMany<T = unknown>(keys: readonly Key[]): Promise<(Entry<T> | null)[]> {
    for (const key of keys) checkKey(key);
    return (await this.#read(keys)).map((raw) => this.#open<T>(raw));
  }

  async list<T = unknown>(options: ListOptions): Promise<Page<T>> {
    const limit = options.limit ?? 100;
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.page) {
      throw new RangeError(`a page has 1 to ${LIMITS.page} entries, not ${limit}`);
    }
    const { prefix, start, end } = options;
    const selector = select(prefix, start, end);
    const cursor = options.cursor ?? "";
    return await this.#ask(async () => {
      const listing = this.#kv.list(selector, { limit, reverse: options.reverse ?? false, ...(cursor && { cursor }) });
      const raws: KvEntry[] = [];
      for await (const raw of listing) raws.push(raw);
      const entries = raws.map((raw) => this.#open<T>(raw)).filter((entry) => entry !== null);
      return { entries, cursor: raws.length < limit ? null : listing.cursor };
    });
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const write = this.#prepare(commit);
    let checks = commit.checks ?? [];
    // What has expired is absent to every reader, so it is to a check too: by the version under which it still lies.
    for (let attempt = 0; attempt < 3; attempt++) {
      const result = await write(checks);
      if (result.ok) return result;
      const renewed = await this.#expiredUnder(checks);
      if (renewed === null) return result;
      checks = renewed;
    }
    return { ok: false };
  }

  watch<T = unknown>(keys: readonly Key[], signal: AbortSignal): AsyncIterable<(Entry<T> | null)[]> {
    if (keys.length < 1 || keys.length > LIMITS.watched_keys) {
      throw new RangeError(`1 to ${LIMITS.watched_keys} keys can be watched, not ${keys.length}`);
    }
    return watchEntries<T>({
      read: () => this.getMany<T>(keys),
      hints: () => this.#kv.watch(keys),
      poll_ms: this.#poll_ms,
      signal: AbortSignal.any([signal, this.#closing.signal]),
    });
  }

  async sweepExpired(now: number = this.#now(), limit = 1000): Promise<number> {
    const page = await this.list({ prefix: [EXPIRY], end: [EXPIRY, now], limit });
    let removed = 0;
    for (let i = 0; i < page.entries.length; i += LIMITS.read_keys) {
      const marks = page.entries.slice(i, i + LIMITS.read_keys);
      const raws = await this.#read(marks.map((mark) => mark.key.slice(2)));
      for (const [j, mark] of marks.entries()) {
        const raw = raws[j];
        const key = mark.key.slice(2);
        // Written again since, with a later expiry or none: only the old mark goes.
        const due = raw?.versionstamp != null && (decode(raw.value).expires_at ?? Infinity) <= now;
        const result = await this.commit({
          checks: due && raw ? [{ key, version: raw.versionstamp }] : [],
          deletes: due ? [key, mark.key] : [mark.key],
        });
        if (result.ok && due) removed++;
      }
    }
    return removed;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    try {
      this.#kv.close();
    } finally {
      await this.#onClose();
    }
  }

  /** Checks and encodes once, so that a commit can be tried with other checks. */
  #prepare(commit: Commit): (checks: readonly Check[]) => Promise<CommitResult> {
    let [keys, values] = [0, 0];
    const sets: [Key, Uint8Array][] = [];
    const add = (key: Key, bytes: Uint8Array) => {
      keys += checkKey(key);
      checkValueBytes(key, bytes.length);
      values += bytes.length;
      sets.push([key, bytes]);
    };
    for (const { key, value, expires_at } of commit.sets ?? []) {
      add(key, encode(value, expires_at ?? null));
      if (expires_at != null) add([EXPIRY, expires_at, ...key], encode(null, null));
    }
    const deletes = commit.deletes ?? [];
    for (const key of deletes) keys += checkKey(key);
    for (const { key } of commit.checks ?? []) keys += checkKey(key);
    const counts = { checks: commit.checks?.length ?? 0, mutations: sets.length + deletes.length };
    checkCommit({ ...counts, keyBytes: keys, valueBytes: values });
    return (checks) =>
      this.#ask(async () => {
        const atomic = this.#kv.atomic();
        for (const { key, version } of checks) atomic.check({ key, versionstamp: version });
        for (const [key, bytes] of sets) atomic.set(key, bytes);
        for (const key of deletes) atomic.delete(key);
        const result = await atomic.commit();
        return result.ok ? { ok: true, version: result.versionstamp } : { ok: false };
      });
  }

  /** `checks` with the versions of expired entries in place of "absent"; null if none of them is one. */
  async #expiredUnder(checks: readonly Check[]): Promise<Check[] | null> {
    if (!checks.some((check) => check.version === null)) return null;
    const raws = await this.#read(checks.map((check) => check.key));
    let found = false;
    const renewed = checks.map((check, i) => {
      const raw = raws[i];
      if (check.version !== null || raw === undefined || raw.versionstamp === null) return check;
      if (this.#open(raw) !== null) return check;
      found = true;
      return { key: check.key, version: raw.versionstamp };
    });
    return found ? renewed : null;
  }

  async #read(keys: readonly Key[]): Promise<KvEntry[]> {
    const raws: KvEntry[] = [];
    for (let i = 0; i < keys.length; i += LIMITS.read_keys) {
      raws.push(...await this.#ask(() => this.#kv.getMany(keys.slice(i, i + LIMITS.read_keys))));
    }
    return raws;
  }

  #open<T>(raw: KvEntry): Entry<T> | null {
    if (raw.versionstamp === null) return null;
    const { value, expires_at } = decode(raw.value);
    if (expires_at !== null && expires_at <= this.#now()) return null;
    return { key: raw.key as Key, value: value as T, version: raw.versionstamp, expires_at };
  }

  /** One question to the client, in bounded time. The client itself may go on asking; see {@linkcode Store.commit}. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw closed(this.info);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(unreachable(this.info, undefined, this.#timeout_ms)),
      this.#timeout_ms,
    );
    try {
      return await Promise.race([question(), late.promise]);
    } catch (error) {
      if (error instanceof UnmaskError) throw error;
      throw this.#closing.signal.aborted ? closed(this.info, error) : storeFailure(this.info, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

function select(prefix: Key, start: Key | undefined, end: Key | undefined): KvSelector {
  if (start !== undefined) return end === undefined ? { prefix, start } : { start, end };
  return end === undefined ? { prefix } : { prefix, end };
}
