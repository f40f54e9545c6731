/**
 * Blobs: bytes too large for one value, whole or not there at all. The parts lie under an upload's own id, out of
 * everybody's reach, until one small head record names them; who writes the head in the commit of a run's own record
 * has both or neither. Reads check length and hash. Small blobs lie in the head itself, and the parts of those that are
 * not large come in the head's own commit.
 *
 * An upload before its head leaves a mark until that is written, and so does whatever a later head replaces: what a sweep
 * must look at is what is unfinished, not the whole store.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import { conflict } from "./failures.ts";
import type { Check, Commit, Entry, Key, Store, Write } from "./types.ts";

/** A blob belongs to one run of one owner, and is shared with nobody. */
export interface BlobKey {
  readonly owner: string;
  readonly run: string;
  /** Unique in the run: what it is, or its hash. */
  readonly name: string;
}

/** What the head record says. */
export interface BlobHead {
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** A media type such as `image/png`. */
  readonly type: string;
  /** The id that the parts lie under; null: the bytes are in the head. */
  readonly upload: string | null;
  readonly parts: number;
  readonly inline: Uint8Array | null;
}

/** Bytes of one part; 13 of them fill a commit (field-notes, row 14). */
export const PART_BYTES = 60_000;
const PARTS_A_COMMIT = 13;
/** Bytes up to which a blob lies in its head. */
export const INLINE_BYTES = 60_000;
/**
 * Parts that need no commit before their head's. A store takes 819,200 bytes in one: two such blobs, a result and a state,
 * fit beside a record and its events.
 */
export const PARTS_WITH_HEAD = 5;
/** 1 GiB: far beyond any picture; a bound for mistakes. */
const MOST_BYTES = 2 ** 30;

export const headKey = (key: BlobKey): Key => ["blob", key.owner, key.run, key.name];
export const partKey = (key: BlobKey, upload: string, index: number): Key => [
  "blob_part",
  key.owner,
  key.run,
  upload,
  index,
];
/** The mark of parts that no head names: being written, or replaced. */
export const markKey = (key: BlobKey, upload: string): Key => ["blob_mark", key.owner, key.run, upload];

/** What a mark says. */
export interface BlobMark {
  readonly name: string;
  readonly parts: number;
}

/** What makes a blob visible, and the parts that are not stored yet: put into the caller's own commit. At most 2 checks. */
export interface StagedBlob {
  readonly head: BlobHead;
  readonly checks: readonly Check[];
  readonly sets: readonly Write[];
  readonly deletes: readonly Key[];
}

/**
 * Stores the parts of a large blob, which nobody sees yet. The head then is in `sets`, with the parts of a blob that is
 * not large; it replaces a blob of the same name.
 *
 * @param type a media type
 * @param known null: the caller knows that there is no such blob yet, which the head's commit checks
 * @throws `blob_too_large`; what {@linkcode Store} throws
 */
export async function stageBlob(
  store: Store,
  key: BlobKey,
  bytes: Uint8Array,
  type: string,
  known?: null,
): Promise<StagedBlob> {
  if (bytes.length > MOST_BYTES) {
    throw new UnmaskError({
      code: "blob_too_large",
      message: `a blob has ${bytes.length} bytes of at most ${MOST_BYTES}`,
      fix: "send a smaller file",
      status: 413,
    });
  }
  const [sha256, before] = await Promise.all([
    hash(bytes),
    known === undefined ? store.get<BlobHead>(headKey(key)) : null,
  ]);
  const inline = bytes.length <= INLINE_BYTES;
  const parts = inline ? 0 : Math.ceil(bytes.length / PART_BYTES);
  const upload = inline ? null : crypto.randomUUID();
  const ahead = upload !== null && parts > PARTS_WITH_HEAD;
  const mark = ahead ? await writeParts(store, key, upload, bytes, parts) : null;
  const head: BlobHead = { size: bytes.length, sha256, type, upload, parts, inline: inline ? bytes : null };
  const replaced = before?.value.upload ?? null;
  return {
    head,
    checks: [{ key: headKey(key), version: before?.version ?? null }, ...(mark === null ? [] : [mark])],
    sets: [
      { key: headKey(key), value: head },
      ...(upload === null || ahead ? [] : partWrites(key, upload, bytes, 0, parts)),
      ...(before === null || replaced === null ? [] : [{
        key: markKey(key, replaced),
        value: { name: key.name, parts: before.value.parts },
      }]),
    ],
    deletes: mark === null ? [] : [mark.key],
  };
}

/** {@linkcode stageBlob} and its own commit. @throws also `store_conflict` when another write of the name came first */
export async function putBlob(store: Store, key: BlobKey, bytes: Uint8Array, type: string): Promise<BlobHead> {
  const staged = await stageBlob(store, key, bytes, type);
  if (!(await store.commit(staged)).ok) {
    // The first answer may have been lost and the client have tried again: then the head is ours.
    const now = await store.get<BlobHead>(headKey(key));
    if (now?.value.sha256 !== staged.head.sha256 || now.value.upload !== staged.head.upload) {
      throw conflict(`the blob ${key.name}`);
    }
  }
  return staged.head;
}

/** The head alone, or null; its `inline` bytes are not checked. */
export async function readBlobHead(store: Store, key: BlobKey): Promise<BlobHead | null> {
  return (await store.get<BlobHead>(headKey(key)))?.value ?? null;
}

/**
 * The whole blob, or null where there is none.
 *
 * @throws `blob_corrupt` when parts are missing, or length or hash are not those of the head
 */
export async function readBlob(store: Store, key: BlobKey): Promise<{ head: BlobHead; bytes: Uint8Array } | null> {
  let head = await readBlobHead(store, key);
  for (let attempt = 0; head !== null; attempt++) {
    const bytes = await join(store, key, head);
    if (bytes !== null && bytes.length === head.size && await hash(bytes) === head.sha256) return { head, bytes };
    // Replaced and swept while it was read? Then there is a newer head, and it is whole.
    const again = await readBlobHead(store, key);
    if (attempt === 2 || again?.upload === head.upload) throw corrupt(key, head, bytes);
    head = again;
  }
  return null;
}

/** What takes a blob away, for the caller's own commit; its parts are left to the sweep. Empty where there is none. */
export async function unlinkBlob(store: Store, key: BlobKey): Promise<Commit> {
  const head = await store.get<BlobHead>(headKey(key));
  return head === null ? {} : unlink(key, head);
}

/** The commit behind {@linkcode unlinkBlob}, for a head that was read already. */
export function unlink(key: BlobKey, head: Entry<BlobHead>): Commit {
  const { upload, parts } = head.value;
  return {
    checks: [{ key: headKey(key), version: head.version }],
    sets: upload === null ? [] : [{ key: markKey(key, upload), value: { name: key.name, parts } }],
    deletes: [headKey(key)],
  };
}

async function writeParts(
  store: Store,
  key: BlobKey,
  upload: string,
  bytes: Uint8Array,
  parts: number,
): Promise<Check> {
  const mark: BlobMark = { name: key.name, parts };
  const first = await store.commit({ sets: [{ key: markKey(key, upload), value: mark }] });
  if (!first.ok) throw conflict(`the upload of ${key.name}`);
  const check: Check = { key: markKey(key, upload), version: first.version };
  for (let from = 0; from < parts; from += PARTS_A_COMMIT) {
    const sets = partWrites(key, upload, bytes, from, Math.min(parts, from + PARTS_A_COMMIT));
    // Checked against the mark: no part is written behind a sweep that has given this upload up.
    if (!(await store.commit({ checks: [check], sets })).ok) throw conflict(`the upload of ${key.name}`);
  }
  return check;
}

/** Parts `from` to `to`, the last excluded. */
function partWrites(key: BlobKey, upload: string, bytes: Uint8Array, from: number, to: number): Write[] {
  return Array.from({ length: to - from }, (_, i) => ({
    key: partKey(key, upload, from + i),
    value: bytes.subarray((from + i) * PART_BYTES, (from + i + 1) * PART_BYTES),
  }));
}

async function join(store: Store, key: BlobKey, head: BlobHead): Promise<Uint8Array | null> {
  const { upload } = head;
  if (upload === null) return head.inline;
  const out = new Uint8Array(head.size);
  let at = 0;
  for (let from = 0; from < head.parts; from += 10) {
    const count = Math.min(10, head.parts - from);
    const keys = Array.from({ length: count }, (_, i) => partKey(key, upload, from + i));
    for (const part of await store.getMany<Uint8Array>(keys)) {
      if (part === null || at + part.value.length > out.length) return null;
      out.set(part.value, at);
      at += part.value.length;
    }
  }
  return out.subarray(0, at);
}

/** SHA-256 in lower-case hex. */
async function hash(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes))).toHex();
}

function corrupt(key: BlobKey, head: BlobHead, bytes: Uint8Array | null): UnmaskError {
  const found = bytes === null ? "parts of it are missing" : `${bytes.length} of ${head.size} bytes, or another hash`;
  return new UnmaskError({
    code: "blob_corrupt",
    message: `the stored blob ${key.name} is damaged: ${found}`,
    fix: "draw it again from the run (fork at the last step), or restore the store from a backup",
    status: 500,
  });
}
