/**
 * A picture of any step of a run, made only when it is asked for, and then kept with the run.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Runs } from "./service.ts";
import { kindOf, pictureOf } from "./state/kind.ts";
import { idsAt, paintFlat } from "./state/timeline.ts";
import type { EncodeOutput, StepEngine } from "./step_engine.ts";
import { type BlobKey, putBlob, readBlob } from "./store/blobs.ts";

/** @returns a picture file in the run's own format. @throws `run_not_found`, `step_not_done` (404), `task_has_no_picture` */
export async function pictureAt(
  runs: Runs,
  { engine, encode }: { readonly engine: StepEngine; readonly encode: EncodeOutput },
  owner: string,
  id: string,
  step: number,
): Promise<Uint8Array> {
  const known = await knownPicture(runs, owner, id, step);
  if (known !== null) return known;
  const sequence = await sequenceOf(runs, owner, id, step);
  const { encoding: { format, quality } } = await runs.get(owner, id);
  const { ids, masked } = idsAt(sequence, step, await engine.meanCode());
  const bytes = await encode(paintFlat(await engine.decode(ids), masked, ids.length), format, quality);
  // Kept only if nobody was faster; the bytes are the same.
  await putBlob(runs.ledger.store, blobOf(owner, id, step), bytes, `image/${format}`).catch(() => undefined);
  return bytes;
}

/** The picture if it was made before; needs no engine. @throws as {@link pictureAt} */
export async function knownPicture(runs: Runs, owner: string, id: string, step: number): Promise<Uint8Array | null> {
  await sequenceOf(runs, owner, id, step);
  return (await readBlob(runs.ledger.store, blobOf(owner, id, step)))?.bytes ?? null;
}

/** Where the picture of a step lies once somebody has made it. */
export function blobOf(owner: string, run: string, step: number): BlobKey {
  return { owner, run, name: `step-${step}` };
}

/** When each token was fixed. @throws as {@link pictureAt} */
export async function timelineOf(
  runs: Runs,
  owner: string,
  id: string,
): Promise<{ readonly side: number; readonly step: number; readonly revealed_at: readonly number[] }> {
  const { step } = await runs.get(owner, id);
  const { revealedAt } = await sequenceOf(runs, owner, id, step);
  return { side: Math.sqrt(revealedAt.length), step, revealed_at: [...revealedAt] };
}

async function sequenceOf(runs: Runs, owner: string, id: string, step: number) {
  const record = await runs.get(owner, id);
  const bytes = await runs.state(owner, id);
  const kind = kindOf(runs.kinds, record.task);
  const picture = pictureOf(kind);
  const state = bytes === null ? undefined : kind.decode(bytes);
  if (state === undefined || !Number.isInteger(step) || step < 0 || step > kind.progress(state).step) {
    throw new UnmaskError({
      code: "step_not_done",
      message: `this run has done ${record.step} steps`,
      fix: "ask for a step that it has done",
      param: "step",
      status: 404,
    });
  }
  return picture.sequence(state, step);
}
