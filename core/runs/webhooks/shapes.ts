/**
 * Webhooks in the bodies of other protocols: the run as their clients know it, instead of an event of ours. The result is
 * a link that needs no key, made when the run was asked for.
 *
 * @module
 */
import { z } from "zod";
import type { RunEvent, RunRecord } from "../record.ts";
import { jobOf } from "../views/job.ts";
import { cogPrediction, replicatePrediction } from "../views/prediction.ts";

export const shapeSchema = z.strictObject({
  as: z.enum(["cog", "replicate", "runpod"]),
  /** Of cog: the id that the client gave. */
  id: z.string().max(200).optional(),
  /** Where the result will be. */
  result: z.url({ protocol: /^https?$/ }).max(2000),
  /** Of replicate. */
  model: z.string().max(200).optional(),
  version: z.string().max(200).optional(),
  base: z.url({ protocol: /^https?$/ }).max(2000).optional(),
  stream: z.url({ protocol: /^https?$/ }).max(2000).optional(),
});
export type Shape = z.infer<typeof shapeSchema>;

/** Steps are told at most this many times a run: Cog's limit of two a second cannot be known from a record alone. */
const TOLD = 10;

/** Whether an event is told in this shape; a second start (another worker's claim) is not. */
export function told(event: RunEvent): boolean {
  if (event.type === "run.started") return event.data["claim"] === 1;
  if (event.type !== "run.step") return true;
  const { step, steps } = event.data;
  if (typeof step !== "number" || typeof steps !== "number" || steps <= 0) return false;
  return Math.floor((step * TOLD) / steps) > Math.floor(((step - 1) * TOLD) / steps);
}

/** The record as it was at the event: several events may be in one commit. */
export function shapedBody(record: RunRecord, event: RunEvent, shape: Shape): string {
  const { step, steps } = event.data;
  const ended = record.state !== "running" && event.sequence === record.sequence;
  const at: RunRecord = {
    ...record,
    ...(typeof step === "number" && typeof steps === "number" ? { step, steps } : {}),
    ...(ended ? {} : { state: "running", finished_at: null, error: null }),
  };
  const output = at.state === "succeeded" ? shape.result : null;
  return JSON.stringify(view(at, output, shape));
}

function view(record: RunRecord, output: string | null, { as, id, model, version, base, stream }: Shape): unknown {
  switch (as) {
    case "cog":
      return cogPrediction(record, output, id);
    case "replicate":
      return replicatePrediction(record, output, {
        model: model ?? "",
        version: version ?? "",
        base: base ?? "",
        ...(stream === undefined ? {} : { stream }),
      });
    case "runpod":
      return jobOf(record, output);
  }
}
