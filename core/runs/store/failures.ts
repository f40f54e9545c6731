/**
 * Failures of a store as errors of ours. The clients have no codes, so their words are matched here and nowhere else;
 * what is not known is `store_failed` with the client's own words.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import type { StoreInfo } from "./types.ts";

/** @param cause what a client threw */
export function storeFailure(info: StoreInfo, cause: unknown): UnmaskError {
  if (cause instanceof UnmaskError) return cause;
  const words = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  if (/access.?token|unauthori[sz]ed|forbidden|\b40[13]\b/i.test(words)) return refused(info, cause);
  if (/disk is full|no space left|quota/i.test(words)) return full(info, cause);
  if (/disk i\/o|read-?only|unable to open|permission denied/i.test(words)) return writeFailed(info, cause);
  if (/connect|sending request|network|timed? ?out|\b50[0-9]\b|dns/i.test(words)) return unreachable(info, cause);
  if (/closed|bad ?resource|interrupted/i.test(words)) return closed(info, cause);
  return new UnmaskError({
    code: "store_failed",
    message: `the store ${info.name} failed: ${firstLine(words)}`,
    fix: "look at the store's own log",
    status: 503,
    cause,
  });
}

export function unreachable(info: StoreInfo, cause: unknown, after_ms?: number): UnmaskError {
  return new UnmaskError({
    code: "store_unreachable",
    message: `the store ${info.name} does not answer${after_ms === undefined ? "" : ` within ${after_ms} ms`}`,
    fix: info.kind === "remote" ? "see that denokv runs at that address, then try again" : "see to the disk",
    status: 503,
    cause,
  });
}

export function closed(info: StoreInfo, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "store_closed",
    message: `the store ${info.name} was closed`,
    fix: "open it again",
    status: 503,
    cause,
  });
}

/** For callers to whom a conflict is an error, not a turn of events. */
export function conflict(what: string): UnmaskError {
  return new UnmaskError({
    code: "store_conflict",
    message: `${what} was changed by somebody else in the meantime`,
    fix: "read it again, and repeat the request if it still applies",
    status: 409,
  });
}

/** A second process at one file. */
export function inUse(info: StoreInfo): UnmaskError {
  return new UnmaskError({
    code: "store_in_use",
    message: `the store ${info.name} is open in another process`,
    fix:
      "stop that process, or let several share one store: run `denokv --sqlite-path FILE serve --addr 127.0.0.1:4512`" +
      " and start each with --store http://127.0.0.1:4512",
    status: 503,
  });
}

function refused(info: StoreInfo, cause: unknown): UnmaskError {
  return new UnmaskError({
    code: "store_refused",
    message: `the store ${info.name} refuses the access token`,
    fix: "set DENO_KV_ACCESS_TOKEN to the token that the server was started with (16 characters or more)",
    status: 503,
    cause,
  });
}

function full(info: StoreInfo, cause: unknown): UnmaskError {
  return new UnmaskError({
    code: "store_full",
    message: `the disk of the store ${info.name} is full; nothing was written`,
    fix: "free some space; runs go on from what is stored",
    status: 507,
    cause,
  });
}

export function writeFailed(info: StoreInfo, cause: unknown): UnmaskError {
  return new UnmaskError({
    code: "store_write_failed",
    message: `the store ${info.name} cannot be opened or written`,
    fix: "see that its folder is there, that it may be written, and to the disk; runs go on from what is stored",
    status: 503,
    cause,
  });
}

/** Without paths, which are this machine's own business. */
function firstLine(words: string): string {
  return (words.split("\n", 1)[0] ?? words).replace(/(?<![\w:/])\/[^\s'"]+/g, "a path").slice(0, 300);
}
