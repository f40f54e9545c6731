/**
 * `Prefer` (RFC 7240): whether a caller waits, how long, and what becomes of its run when it leaves.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";

export interface Preference {
  /** Ms to wait for the end; 0: not at all; null: as long as it takes. */
  readonly wait: number | null;
  /** The run goes on when a waiting caller leaves. */
  readonly keep: boolean;
}

/** Seconds that a caller may ask to wait. */
const LONGEST = 3600;

/** @throws {UnmaskError} `prefer_invalid` for a `wait` that is no number of seconds; unknown preferences are ignored, as the RFC says */
export function preference(header: string | undefined): Preference {
  const tokens = (header ?? "").split(",").map((token) => token.trim().toLowerCase());
  const keep = tokens.includes("keep-running");
  if (tokens.includes("respond-async")) return { wait: 0, keep };
  const wait = tokens.find((token) => /^wait\s*=/.test(token));
  if (wait === undefined) return { wait: null, keep };
  const seconds = Number(wait.split("=")[1]);
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= LONGEST) return { wait: seconds * 1000, keep };
  throw new UnmaskError({
    code: "prefer_invalid",
    message: "the header Prefer asks for a wait that is no number of seconds",
    fix: `use Prefer: wait=60 (at most ${LONGEST}), or Prefer: respond-async`,
  });
}
