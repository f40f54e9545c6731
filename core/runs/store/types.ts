/**
 * What the rest of `core/runs` knows of a key-value store. One small interface stands before Deno KV on a file, in
 * memory and behind KV Connect, so that nothing else depends on a store that may change (field-notes D, "Status").
 *
 * @module
 */

/** One part of a key. Numbers sort by value and after all strings; strings sort by their UTF-8 bytes. */
export type KeyPart = string | number;

/** A path such as `["run", owner, id]`; at most 2,048 bytes encoded (see `limits.ts`). */
export type Key = readonly KeyPart[];

/**
 * What a store can hold: JSON, with `Uint8Array` allowed anywhere in it. Properties that are `undefined` are left out.
 * Dates, maps, bigints, other typed arrays and numbers that are not finite are refused (`value_not_storable`).
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value | undefined };

/** One stored value. */
export interface Entry<T = unknown> {
  readonly key: Key;
  readonly value: T;
  /** Changes with every write of the key, and is never used twice: what a {@linkcode Check} compares. */
  readonly version: string;
  /** Unix time in milliseconds after which the entry counts as absent; null: never. */
  readonly expires_at: number | null;
}

/** A condition of a commit: the key still has this version; `null`: the key is still absent (or expired). */
export interface Check {
  readonly key: Key;
  readonly version: string | null;
}

/** One value to write. */
export interface Write {
  readonly key: Key;
  readonly value: unknown;
  /**
   * Unix time in milliseconds after which the entry counts as absent; the sweep removes it some time later. For
   * retention only: it is read off the clock of whoever reads, so no lease may depend on it.
   */
  readonly expires_at?: number | null;
}

/** Writes and deletes that happen together or, where a check does not hold, not at all. */
export interface Commit {
  /** At most 10 (what a `denokv` server takes). */
  readonly checks?: readonly Check[];
  readonly sets?: readonly Write[];
  readonly deletes?: readonly Key[];
}

/** `ok: false` is no failure of the store: somebody else wrote a checked key first, and nothing was written. */
export type CommitResult = { readonly ok: true; readonly version: string } | { readonly ok: false };

/** Which keys {@linkcode Store.list} reads, in the order of keys. */
export interface ListOptions {
  /** Keys that begin with these parts and have at least one more. */
  readonly prefix: Key;
  /** First key to read, itself included; begins with `prefix`. */
  readonly start?: Key;
  /** First key not to read any more; begins with `prefix`. */
  readonly end?: Key;
  /** Entries in a page, 1 to 1,000. @default {100} */
  readonly limit?: number;
  /** A cursor of an earlier page of the same listing. */
  readonly cursor?: string | null;
  readonly reverse?: boolean;
}

/** Entries of one listing. A page is one moment of the store; the next page is a later one. */
export interface Page<T = unknown> {
  /** May be fewer than the limit, even none, while `cursor` is not null: expired entries are left out. */
  readonly entries: readonly Entry<T>[];
  /** Where the next page begins; null: this was the last one. */
  readonly cursor: string | null;
}

/** How a store was opened. `shared` stores may be opened by any number of processes at once. */
export interface StoreInfo {
  readonly kind: "file" | "memory" | "remote";
  readonly shared: boolean;
  /** For people: the file's name or the server's address, without credentials. */
  readonly name: string;
}

/**
 * A key-value store with versions. The type parameters are the caller's word for what it wrote itself; nothing checks
 * them.
 *
 * Every method throws `UnmaskError`: `store_unreachable` (no answer in time, or refused), `store_full`,
 * `store_write_failed`, `store_closed`, `store_failed`; writes also what `limits.ts` and `codec.ts` refuse.
 */
export interface Store {
  readonly info: StoreInfo;

  /** The value at `key`, or null. */
  get<T = unknown>(key: Key): Promise<Entry<T> | null>;

  /** Values in the order of `keys`. Up to 10 keys are read at one moment; more are read ten at a time. */
  getMany<T = unknown>(keys: readonly Key[]): Promise<(Entry<T> | null)[]>;

  /** One page; {@linkcode listAll} goes through all of them. */
  list<T = unknown>(options: ListOptions): Promise<Page<T>>;

  /**
   * All or nothing. After `store_unreachable` the commit may have happened or **may still happen** (a client that lost
   * the answer tries again by itself, and then reads its own write as a conflict). So a commit that must not happen
   * twice carries a check and an id of its own in what it writes: read again after a refusal, and look for that id.
   */
  commit(commit: Commit): Promise<CommitResult>;

  /**
   * Yields the entries of up to 10 keys now, and again whenever one of them changed; states in between may be skipped.
   * Ends when `signal` aborts or the store closes, and only then: while the store cannot be reached it goes on trying.
   */
  watch<T = unknown>(keys: readonly Key[], signal: AbortSignal): AsyncIterable<(Entry<T> | null)[]>;

  /** Removes entries that expired before `now`. Returns how many were removed; at most `limit` are looked at. */
  sweepExpired(now?: number, limit?: number): Promise<number>;

  close(): Promise<void>;
}

/** All entries of a listing, page after page. Not one moment of the store, but each page is. */
export async function* listAll<T = unknown>(
  store: Store,
  options: Omit<ListOptions, "cursor">,
): AsyncGenerator<Entry<T>> {
  let cursor: string | null = null;
  do {
    const page: Page<T> = await store.list<T>({ ...options, cursor });
    yield* page.entries;
    cursor = page.cursor;
  } while (cursor !== null);
}
