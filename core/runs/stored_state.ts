/**
 * A state's bytes in the store: beside the record while they are small, a blob of the run when they are not.
 *
 * @module
 */
import { unreadableState } from "../tasks/sequence.ts";
import { isUnreachable, pause } from "./ledger.ts";
import type { RunRecord } from "./record.ts";
import { readBlob, stageBlob, type StagedBlob } from "./store/blobs.ts";
import type { Commit, Key, Store } from "./store/types.ts";

/** Bytes up to which an open snapshot is one value. */
export const SNAPSHOT_BYTES = 48 * 1024;

interface StoredState {
  readonly step: number;
  readonly bytes: Uint8Array | null;
}

/** What makes `bytes` the state at `key`, for the caller's commit. */
export async function stageState(store: Store, key: Key, record: RunRecord, bytes: Uint8Array): Promise<Commit> {
  const small = bytes.length <= SNAPSHOT_BYTES;
  const value: StoredState = { step: record.step, bytes: small ? bytes : null };
  const sets = [{ key, value }];
  if (small) return { sets };
  const staged = await stageUntilDone(store, record, String(key[0]), bytes, "application/octet-stream");
  return { checks: staged.checks, sets: [...sets, ...staged.sets], deletes: staged.deletes };
}

/** The bytes at `key`; null where there are none. @throws `blob_corrupt`, `state_unreadable` */
export async function readState(store: Store, key: Key, owner: string, run: string): Promise<Uint8Array | null> {
  const entry = await store.get<StoredState>(key);
  if (entry === null) return null;
  if (entry.value.bytes !== null) return entry.value.bytes;
  const blob = await readBlob(store, { owner, run, name: String(key[0]) });
  if (blob === null) throw unreadableState("its blob is gone");
  return blob.bytes;
}

/** `stageBlob`, tried again for as long as the store cannot be reached. @param known null: there is no such blob yet */
export async function stageUntilDone(
  store: Store,
  { owner, id }: RunRecord,
  name: string,
  bytes: Uint8Array,
  type: string,
  known?: null,
): Promise<StagedBlob> {
  for (;;) {
    try {
      return await stageBlob(store, { owner, run: id, name }, bytes, type, known);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      await pause(200);
    }
  }
}
