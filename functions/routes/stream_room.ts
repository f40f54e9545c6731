/**
 * How many event streams one owner may have open at once, in this process: each costs a watch of the store for as long as
 * its reader likes.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import type { Runs } from "../../core/runs/service.ts";

export const MOST_STREAMS = 64;

/** By the house whose streams they are, then by owner. */
const OPEN = new WeakMap<Runs, Map<string, number>>();

/** Asked before a run is accepted that is to be streamed. @throws {UnmaskError} `too_many_streams` (429) */
export function requireStreamRoom(runs: Runs, owner: string): void {
  if ((OPEN.get(runs)?.get(owner) ?? 0) < MOST_STREAMS) return;
  throw new UnmaskError({
    code: "too_many_streams",
    message: `${MOST_STREAMS} event streams of this key are open, and that is the most`,
    fix: "close some, or ask for the run itself now and then",
    status: 429,
    retryAfter: 5,
  });
}

/** @returns what gives the room back, however often it is called. @throws {UnmaskError} `too_many_streams` (429) */
export function takeStreamRoom(runs: Runs, owner: string): () => void {
  requireStreamRoom(runs, owner);
  const open = OPEN.get(runs) ?? new Map<string, number>();
  OPEN.set(runs, open);
  const change = (by: number) => {
    const count = (open.get(owner) ?? 0) + by;
    if (count > 0) open.set(owner, count);
    else open.delete(owner);
  };
  change(1);
  let left = false;
  return () => {
    if (left) return;
    left = true;
    change(-1);
  };
}
