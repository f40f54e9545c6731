/**
 * A picture as it forms, in OpenAI's events: partial images when the run has done their steps, and at its end the
 * picture. Partial images are previews of the run's own record, so they cost a decoding and nothing else.
 *
 * @module
 */
import type { Context } from "hono";
import { pictureAt } from "../../../core/runs/preview.ts";
import { pictureFromElsewhere } from "../../../core/runs/preview_jobs.ts";
import { isTerminal, type RunEvent, type RunRecord } from "../../../core/runs/record.ts";
import { toOpenAIError } from "../../middleware/errors.ts";
import { type Environment, requestIdOf } from "../../middleware/request_id.ts";
import { eventStream } from "../sse.ts";
import { type Asked, cancelAll, failureOf, type OpenAIDoor } from "./door.ts";
import { echo, usageOf } from "./picture_answer.ts";
import type { PictureFields } from "./picture_fields.ts";

/** Ms for which a stream waits for a partial image of a worker elsewhere; then it does without, as its protocol allows. */
const PATIENCE = 5000;

export type StreamKind = "image_generation" | "image_edit";

export function streamPicture(
  context: Context<Environment>,
  door: OpenAIDoor,
  asked: Asked,
  kind: StreamKind,
  fields: PictureFields,
): Response {
  const record = asked.accepted[0]?.record;
  if (record === undefined) throw new Error("a stream needs a run");
  const { owner, id } = record;
  const { runs, closing } = door;
  cancelWithCaller(context, door, asked);
  // Once in vain is enough: nobody there makes previews.
  let patience = PATIENCE;
  const partials = new Partials(fields.partial_images ?? 0);
  const say = (type: string, data: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}`;
  const about = (now: RunRecord) => ({ created_at: Math.floor(Date.now() / 1000), ...echo(now, fields) });
  const options = { runs, ...(closing === undefined ? {} : { closing }) };
  return eventStream(context, { owner, id }, options, async (event) => {
    const due = partials.due(event);
    const shown = due === null ? null : await partialOf(context, door, { owner, id, step: due.step }, patience);
    if (due !== null && shown === null) patience = 0;
    if (due !== null && shown !== null) {
      const partial = { b64_json: shown.toBase64(), partial_image_index: due.index };
      return say(`${kind}.partial_image`, { ...partial, ...about(await runs.get(owner, id)) });
    }
    const now = await endedBy(event, door, record);
    if (now === null) return null;
    if (now.state !== "succeeded") {
      return say("error", toOpenAIError(failureOf(now), requestIdOf(context)));
    }
    const bytes = await runs.resultOf(now);
    return say(`${kind}.completed`, { b64_json: bytes.toBase64(), ...about(now), usage: usageOf([now]) });
  });
}

/** From the engine here; of a front that has none, from a worker that shares its store. */
async function partialOf(
  context: Context<Environment>,
  { runs, engine, encode, closing }: OpenAIDoor,
  { owner, id, step }: { readonly owner: string; readonly id: string; readonly step: number },
  patience: number,
): Promise<Uint8Array | null> {
  if (engine !== null) return await pictureAt(runs, { engine, encode }, owner, id, step);
  const gone = AbortSignal.any([context.req.raw.signal, ...(closing === undefined ? [] : [closing])]);
  return await pictureFromElsewhere(runs, { owner, id, step }, patience, gone);
}

/** The record, if this is its last event. */
export async function endedBy(
  { type, sequence }: RunEvent,
  { runs }: OpenAIDoor,
  { owner, id }: RunRecord,
): Promise<RunRecord | null> {
  if (type === "run.step") return null;
  const now = await runs.get(owner, id);
  return isTerminal(now.state) && now.sequence === sequence ? now : null;
}

/** Whoever leaves a stream of this protocol does not come back to it, unless it says so. */
export function cancelWithCaller(context: Context<Environment>, { runs }: OpenAIDoor, { accepted, keep }: Asked): void {
  if (keep) return;
  const leave = () => void cancelAll(runs, accepted).catch(() => {});
  const { signal } = context.req.raw;
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
}

/** Which steps to show: evenly spread over the run, neither its beginning nor its end. */
class Partials {
  readonly #count: number;
  #shown = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** The step that this event has reached, if a partial image of it is due. */
  due({ type, data }: RunEvent): { readonly index: number; readonly step: number } | null {
    if (type !== "run.step" || this.#shown >= this.#count) return null;
    const [step, steps] = [Number(data.step), Number(data.steps)];
    const next = Math.max(1, Math.round(steps * (this.#shown + 1) / (this.#count + 1)));
    if (step < next || step >= steps) return null;
    return { index: this.#shown++, step };
  }
}
