/**
 * The part of Deno KV that is used here; `Deno.Kv` and the `Kv` of the npm package `@deno/kv` both have it.
 *
 * @module
 */

export type KvKey = readonly (string | number)[];

export interface KvEntry {
  readonly key: readonly unknown[];
  readonly value: unknown;
  /** null where nothing is stored. */
  readonly versionstamp: string | null;
}

/** With both bounds no client takes a prefix beside them. */
export type KvSelector =
  | { readonly prefix: KvKey }
  | { readonly prefix: KvKey; readonly start: KvKey }
  | { readonly prefix: KvKey; readonly end: KvKey }
  | { readonly start: KvKey; readonly end: KvKey };

export interface KvListing extends AsyncIterableIterator<KvEntry> {
  readonly cursor: string;
}

export interface KvAtomic {
  check(check: { key: KvKey; versionstamp: string | null }): unknown;
  set(key: KvKey, value: unknown): unknown;
  delete(key: KvKey): unknown;
  commit(): Promise<{ ok: true; versionstamp: string } | { ok: false }>;
}

export interface KvClient {
  getMany(keys: readonly KvKey[]): Promise<KvEntry[]>;
  list(selector: KvSelector, options: { limit: number; cursor?: string; reverse: boolean }): KvListing;
  atomic(): KvAtomic;
  watch(keys: readonly KvKey[]): ReadableStream<KvEntry[]>;
  close(): unknown;
}
