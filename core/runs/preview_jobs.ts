/**
 * Previews that a server without an engine asks for: a small job in the store, which any worker's process takes up. The
 * picture then lies with its run, where the next request finds it. Two processes that do the same job do no harm.
 *
 * @module
 */
import { isUnreachable, pause } from "./ledger.ts";
import { blobOf, knownPicture, pictureAt } from "./preview.ts";
import type { Runs } from "./service.ts";
import type { EncodeOutput, StepEngine } from "./step_engine.ts";
import { headKey } from "./store/blobs.ts";
import type { Key, Store } from "./store/types.ts";

export const previewKeys = {
  job: (owner: string, run: string, step: number): Key => ["preview", owner, run, step],
  all: ["preview"] as Key,
} as const;

/** Jobs go away by themselves if no worker comes, in ms. */
const EXPIRY = 600_000;

/** Asks for a picture of a step; asking again changes nothing. */
export async function askForPreview(store: Store, owner: string, run: string, step: number): Promise<void> {
  const key = previewKeys.job(owner, run, step);
  await store.commit({
    checks: [{ key, version: null }],
    sets: [{ key, value: { asked: true }, expires_at: Date.now() + EXPIRY }],
  });
}

/**
 * A picture of a step from a worker elsewhere. Null: none came in `patience` ms, or the signal has aborted.
 *
 * @throws what {@linkcode knownPicture} throws
 */
export async function pictureFromElsewhere(
  runs: Runs,
  { owner, id, step }: { readonly owner: string; readonly id: string; readonly step: number },
  patience: number,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const { store } = runs.ledger;
  const known = await knownPicture(runs, owner, id, step);
  if (known !== null) return known;
  await askForPreview(store, owner, id, step);
  const until = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
  for await (const [entry] of store.watch([headKey(blobOf(owner, id, step))], until)) {
    if (entry !== null && entry !== undefined) return await knownPicture(runs, owner, id, step);
  }
  return null;
}

export interface PreviewWorkerOptions {
  readonly runs: Runs;
  readonly engine: StepEngine;
  readonly encode: EncodeOutput;
  /** Ms between two looks. @default {500} */
  readonly poll?: number;
  readonly log?: (line: Readonly<Record<string, unknown>>) => void;
}

/** Does jobs until the signal aborts. Outlives failures of the store. */
export async function workPreviews(
  { runs, engine, encode, poll = 500, log }: PreviewWorkerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { store } = runs.ledger;
  while (!signal.aborted) {
    try {
      const { entries } = await store.list({ prefix: previewKeys.all, limit: 8 });
      for (const { key, version } of entries) {
        if (signal.aborted) return;
        const [, owner, run, step] = key;
        // What cannot be drawn is in the log, and told to whoever asks again; the job is over all the same.
        await pictureAt(runs, { engine, encode }, String(owner), String(run), Number(step)).catch((error: unknown) => {
          if (isUnreachable(error)) throw error;
          log?.({ level: "error", event: "preview_failed", run: String(run), cause: String(error) });
        });
        await store.commit({ checks: [{ key, version }], deletes: [key] });
      }
    } catch (error) {
      if (!isUnreachable(error)) log?.({ level: "error", event: "previews_stopped", cause: String(error) });
    }
    await pause(poll, signal);
  }
}
