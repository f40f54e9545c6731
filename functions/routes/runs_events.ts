/**
 * A run's events as SSE: `id:` is the sequence number, so a stream can be resumed in any process. A client that leaves
 * costs nothing: the reading of the store ends with it.
 *
 * @module
 */
import type { Context } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import { follow } from "../../core/runs/follow.ts";
import type { Runs } from "../../core/runs/service.ts";
import { ownerOf } from "../middleware/owner.ts";
import type { Environment } from "../middleware/request_id.ts";

/** Ms between two comments that say that the stream is alive. */
export const HEARTBEAT = 10_000;

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
  const gone = new AbortController();
  const leave = () => gone.abort();
  for (const signal of [context.req.raw.signal, closing]) signal?.addEventListener("abort", leave, { once: true });
  if (closing?.aborted === true) leave();
  const encoder = new TextEncoder();
  const events = follow(runs.ledger, owner, id, after, gone.signal, heartbeat);
  const body = new ReadableStream<Uint8Array>({
    // Something at once, so that headers leave before the first event.
    start: (controller) => controller.enqueue(encoder.encode(": open\n\n")),
    async pull(controller) {
      const { done, value } = await events.next();
      if (done === true) return controller.close();
      const text = value === null
        ? ": alive\n\n"
        : `id: ${value.sequence}\nevent: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
      controller.enqueue(encoder.encode(text));
    },
    cancel: leave,
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    },
  });
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
