/**
 * A run as a worker takes it up: from its last snapshot, from the state that it branches from, or from its input.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { readFiles } from "./input_files.ts";
import { keys } from "./keys.ts";
import type { Origin, RunRecord } from "./record.ts";
import { type Kind, pictureOf } from "./state/kind.ts";
import type { StepEngine } from "./step_engine.ts";
import { readState } from "./stored_state.ts";
import type { Store } from "./store/types.ts";

export interface BeginningParts {
  readonly store: Store;
  readonly engine: StepEngine;
  readonly kind: Kind;
}

/**
 * What becomes of a record because of this engine's numerics: nothing where the run has been computed with them last.
 *
 * @throws {UnmaskError} `numerics_differ` where the run asks for others
 */
export function takingPart(record: RunRecord, { fingerprint }: StepEngine): Partial<RunRecord> {
  const known = record.fingerprints;
  if (known.at(-1) === fingerprint) return {};
  const exact = record.exact && known.length === 0;
  if (!exact && record.require_exact) {
    throw new UnmaskError({
      code: "numerics_differ",
      message: "this worker computes with other numerics than the run began with, and the run asks for exactness",
      fix: "start a worker like the first one, or the run without require_exact",
      status: 409,
    });
  }
  return { fingerprints: [...known, fingerprint], exact };
}

/** @throws {UnmaskError} `origin_missing` (410), `input_missing` (410), what the task refuses */
export async function begin(record: RunRecord, parts: BeginningParts): Promise<unknown> {
  const { store, kind } = parts;
  const { owner, id, claims, origin } = record;
  // Nobody has written a state before the first claim.
  const stored = claims === 1 ? null : await readState(store, keys.state(owner, id), owner, id);
  if (stored !== null) {
    const detached = kind.decode(stored);
    return kind.attach === undefined ? detached : kind.attach(detached, await fresh(record, parts));
  }
  const first = await fresh(record, parts);
  if (origin === null) return first;
  const parent = await readState(store, keys.origin(owner, id), owner, id);
  if (parent === null) throw originMissing();
  return branch(kind, first, kind.decode(parent), origin);
}

/** As its input alone would begin it. */
async function fresh({ owner, id, task, input }: RunRecord, { store, engine }: BeginningParts): Promise<unknown> {
  return await engine.start(task, await readFiles(store, owner, id, input));
}

/** A fork's or redraw's first state. */
function branch(kind: Kind, fresh: unknown, parent: unknown, origin: Origin): unknown {
  const picture = pictureOf(kind);
  return origin.kind === "fork"
    ? picture.fork(fresh, parent, origin.step)
    : picture.redraw(fresh, parent, Uint32Array.from(origin.positions ?? []));
}

function originMissing(): UnmaskError {
  return new UnmaskError({
    code: "origin_missing",
    message: "the state that this run was to begin from is gone",
    fix: "fork or redraw again from a run that is still there",
    status: 410,
  });
}
