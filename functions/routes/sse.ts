/**
 * A run's events as a stream of server-sent events in whatever words a protocol has. A client that leaves costs nothing:
 * the reading of the store ends with it.
 *
 * @module
 */
import type { Context } from "hono";
import { follow } from "../../core/runs/follow.ts";
import type { RunEvent, RunRecord } from "../../core/runs/record.ts";
import type { Runs } from "../../core/runs/service.ts";
import type { Environment } from "../middleware/request_id.ts";

/** Ms between two comments that say that the stream is alive. */
export const HEARTBEAT = 10_000;

export interface SseOptions {
  readonly runs: Runs;
  readonly closing?: AbortSignal;
  /** Number of the last event that the reader has. @default {0} */
  readonly after?: number;
  /** Ms. @default {HEARTBEAT} */
  readonly heartbeat?: number;
}

/** One event's lines, without the empty one at its end; null: this protocol does not tell of it. */
export type Tell = (event: RunEvent) => string | null | Promise<string | null>;

export function eventStream(
  context: Context<Environment>,
  { owner, id }: Pick<RunRecord, "owner" | "id">,
  { runs, closing, after = 0, heartbeat = HEARTBEAT }: SseOptions,
  tell: Tell,
): Response {
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
      for (;;) {
        const { done, value } = await events.next();
        if (done === true) return controller.close();
        const text = value === null ? ": alive" : await tell(value);
        if (text === null) continue;
        return controller.enqueue(encoder.encode(`${text}\n\n`));
      }
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
