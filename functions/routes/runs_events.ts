/**
 * A run's events as SSE: `id:` is the sequence number, so a stream can be resumed in any process.
 *
 * @module
 */
import type { Context } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import type { Runs } from "../../core/runs/service.ts";
import { ownerOf } from "../middleware/owner.ts";
import type { Environment } from "../middleware/request_id.ts";
import { eventStream, HEARTBEAT } from "./sse.ts";

export async function streamEvents(
  context: Context<Environment>,
  runs: Runs,
  id: string,
  closing?: AbortSignal,
  heartbeat = HEARTBEAT,
): Promise<Response> {
  const owner = ownerOf(context);
  const after = afterOf(context);
  await runs.get(owner, id); // 404 before a stream begins
  return eventStream(
    context,
    { owner, id },
    { runs, after, heartbeat, ...(closing === undefined ? {} : { closing }) },
    (event) => `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}`,
  );
}

/** @throws {UnmaskError} `after_invalid` */
function afterOf(context: Context<Environment>): number {
  const text = context.req.header("last-event-id") ?? context.req.query("after") ?? "0";
  const after = Number(text);
  if (text !== "" && Number.isInteger(after) && after >= 0) return after;
  throw new UnmaskError({
    code: "after_invalid",
    message: "Last-Event-ID, or after, is no number of an event",
    fix: "send the id of the last event that you have, or leave it out",
    param: "after",
  });
}
