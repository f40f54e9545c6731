/**
 * Idempotency keys: which requests are the same, and what remembers the run that one of them made.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { keys } from "./keys.ts";
import type { Commit, Write } from "./store/types.ts";

/** Of a body; two that say the same have one digest. */
export function digestOf(body: unknown): string {
  return createHash("sha256").update(JSON.stringify(canonical(body))).digest("hex");
}

/** A commit that also takes the key, and fails where another has it. */
export function withIdempotency(commit: Commit, owner: string, key: string | undefined, write: Write): Commit {
  if (key === undefined) return commit;
  return {
    ...commit,
    checks: [...commit.checks ?? [], { key: keys.idempotency(owner, key), version: null }],
    sets: [...commit.sets ?? [], write],
  };
}

/** The same value with the names of every object in order: two bodies that say the same have one digest. */
function canonical(value: unknown): unknown {
  if (value instanceof Uint8Array) return createHash("sha256").update(value).digest("hex");
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, item]) => [name, canonical(item)]),
  );
}
