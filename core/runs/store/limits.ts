/**
 * What a store refuses, found out before it does: the limits of `denokv`, which are those of Deno's own store or
 * tighter (field-notes, row 14 and D). The errors of the stores themselves differ from client to client.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import type { Key } from "./types.ts";

/** Bytes and counts; all are the most that is taken. */
export const LIMITS = {
  key_bytes: 2048,
  value_bytes: 65_536,
  checks: 10,
  mutations: 1000,
  /** Keys and values of one commit together. */
  commit_bytes: 819_200,
  /** All keys of one commit, checks included. */
  commit_key_bytes: 81_920,
  read_keys: 10,
  page: 1000,
  watched_keys: 10,
} as const;

const encoder = new TextEncoder();

/** Bytes of `key` as stores encode it: a tag a part, 8 bytes a number, zero bytes of strings escaped, a terminator. */
export function keyBytes(key: Key): number {
  let bytes = 0;
  for (const part of key) {
    if (typeof part === "number") {
      if (!Number.isFinite(part)) throw refusedKey(`has a number in it that is not finite`);
      bytes += 9;
    } else {
      const text = encoder.encode(part);
      bytes += 2 + text.length;
      for (const byte of text) if (byte === 0) bytes++;
    }
  }
  return bytes;
}

/** @throws `key_too_large` */
export function checkKey(key: Key): number {
  if (key.length === 0) throw refusedKey("is empty");
  const bytes = keyBytes(key);
  if (bytes > LIMITS.key_bytes) throw refusedKey(`has ${bytes} bytes of at most ${LIMITS.key_bytes}`);
  return bytes;
}

function refusedKey(what: string): UnmaskError {
  return new UnmaskError({
    code: "key_too_large",
    message: `a key of the store ${what}`,
    fix: "use shorter names",
    status: 500,
  });
}

/** @throws `value_too_large` */
export function checkValueBytes(key: Key, bytes: number): void {
  if (bytes <= LIMITS.value_bytes) return;
  throw new UnmaskError({
    code: "value_too_large",
    message: `the value at ${JSON.stringify(key[0])} has ${bytes} bytes; a store takes ${LIMITS.value_bytes}`,
    fix: "store it as a blob",
    status: 500,
  });
}

/** The sums of one commit. */
export interface CommitSize {
  readonly checks: number;
  readonly mutations: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** @throws `commit_too_large` */
export function checkCommit(size: CommitSize): void {
  const sums: readonly (readonly [string, number, number])[] = [
    ["checks", size.checks, LIMITS.checks],
    ["writes", size.mutations, LIMITS.mutations],
    ["bytes of keys", size.keyBytes, LIMITS.commit_key_bytes],
    ["bytes", size.keyBytes + size.valueBytes, LIMITS.commit_bytes],
  ];
  for (const [what, count, most] of sums) {
    if (count <= most) continue;
    throw new UnmaskError({
      code: "commit_too_large",
      message: `a commit has ${count} ${what}; a store takes ${most}`,
      fix: "split it, or store large parts as blobs",
      status: 500,
    });
  }
}
