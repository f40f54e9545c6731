/**
 * Opening a store: a file for one process, memory for tests, a KV Connect server for any number of processes.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import type { KvClient } from "./client.ts";
import { inUse, storeFailure, writeFailed } from "./failures.ts";
import { KvStore, type KvStoreOptions } from "./kv_store.ts";
import type { Store, StoreInfo } from "./types.ts";

export interface OpenOptions extends Omit<KvStoreOptions, "onClose"> {
  /**
   * Whose KV Connect client: Deno's own where it is there, else the npm package `@deno/kv`, which is what other
   * runtimes and a Deno without `--unstable-kv` have.
   */
  readonly client?: "deno" | "npm";
}

/**
 * @param where `":memory:"`, the address of a KV Connect server (`http://127.0.0.1:4512`), or a file's path
 * @throws `store_in_use`, `store_unreachable`, `store_refused`, `store_write_failed`, `store_not_supported`
 */
export async function openStore(where: string, options: OpenOptions = {}): Promise<Store> {
  if (where === ":memory:") return await openMemory(options);
  return /^https?:\/\//.test(where) ? await openRemote(where, options) : await openFile(where, options);
}

/** A store that nobody else sees and that is gone when it is closed. */
export async function openMemory(options: OpenOptions = {}): Promise<Store> {
  const info: StoreInfo = { kind: "memory", shared: false, name: "in memory" };
  return new KvStore(await denoKv(info, ":memory:"), info, options);
}

/**
 * A file of this process alone. SQLite would let a second process in, and then lose to it now and then ("database is
 * locked", field-notes D); the lock beside the file is let go of by the system however the process ends.
 *
 * @throws `store_in_use` for a second opening, in whatever process
 */
export async function openFile(path: string, options: OpenOptions = {}): Promise<Store> {
  const info: StoreInfo = { kind: "file", shared: false, name: path.split(/[\\/]/).at(-1) ?? path };
  const lock = await lockFile(`${path}.lock`, info);
  try {
    return new KvStore(await denoKv(info, path), info, { ...options, onClose: () => lock.close() });
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** A `denokv` server, or Deno Deploy's store. */
export async function openRemote(address: string, options: OpenOptions = {}): Promise<Store> {
  const info: StoreInfo = { kind: "remote", shared: true, name: plainAddress(address) };
  const builtIn = typeof (Deno as { openKv?: unknown }).openKv === "function";
  const client = options.client ?? (builtIn ? "deno" : "npm");
  const kv = client === "deno" ? await denoKv(info, address) : await npmKv(info, address);
  return new KvStore(kv, info, options);
}

async function denoKv(info: StoreInfo, where: string): Promise<KvClient> {
  if (typeof (Deno as { openKv?: unknown }).openKv !== "function") {
    throw new UnmaskError({
      code: "store_not_supported",
      message: `the store ${info.name} needs Deno's key-value store, which is not switched on`,
      fix: "run deno with --unstable-kv, or with the project's deno.json",
      status: 503,
    });
  }
  try {
    return await Deno.openKv(where);
  } catch (error) {
    throw storeFailure(info, error);
  }
}

// Its accessToken option is not honoured under Deno: the token is the environment's, DENO_KV_ACCESS_TOKEN, for both clients.
async function npmKv(info: StoreInfo, address: string): Promise<KvClient> {
  const { openKv } = await import("@deno/kv");
  try {
    return await openKv(address);
  } catch (error) {
    throw storeFailure(info, error);
  }
}

async function lockFile(path: string, info: StoreInfo): Promise<Deno.FsFile> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { create: true, write: true });
  } catch (error) {
    throw writeFailed(info, error);
  }
  if (await file.tryLock(true)) return file;
  file.close();
  throw inUse(info);
}

/** Without what a person may have put in as user, password or query. */
function plainAddress(address: string): string {
  try {
    const { protocol, host, pathname } = new URL(address);
    return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
  } catch (cause) {
    throw new UnmaskError({
      code: "store_address",
      message: "the store's address is no URL",
      fix: "give it as http://HOST:PORT, or the path of a file",
      cause,
    });
  }
}
