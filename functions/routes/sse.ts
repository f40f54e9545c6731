/**
 * A run's events as a stream of server-sent events in whatever words a protocol has. A client that leaves costs nothing:
 * the reading of the store ends with it. One owner has a bounded number of them.
 *
 * @module
 */
import type { Context } from "hono";
import { follow } from "../../core/runs/follow.ts";
import type { RunEvent, RunRecord } from "../../core/runs/record.ts";
import type { Runs } from "../../core/runs/service.ts";
import type { Environment } from "../middleware/request_id.ts";
import { takeStreamRoom } from "./stream_room.ts";

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

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

/** @throws {UnmaskError} `too_many_streams` (429) */
export function eventStream(
  context: Context<Environment>,
  { owner, id }: Pick<RunRecord, "owner" | "id">,
  { runs, closing, after = 0, heartbeat = HEARTBEAT }: SseOptions,
  tell: Tell,
): Response {
  // Nobody would read it.
  if (context.req.method === "HEAD") return new Response(null, { headers: HEADERS });
  const giveBack = takeStreamRoom(runs, owner);
  const gone = new AbortController();
  const leave = () => {
    gone.abort();
    giveBack();
  };
  for (const signal of [context.req.raw.signal, closing]) signal?.addEventListener("abort", leave, { once: true });
  if (closing?.aborted === true) leave();
  const encoder = new TextEncoder();
  const events = follow(runs.ledger, owner, id, after, gone.signal, heartbeat);
  const body = new ReadableStream<Uint8Array>({
    // Something at once, so that headers leave before the first event.
    start: (controller) => controller.enqueue(encoder.encode(": open\n\n")),
    async pull(controller) {
      for (;;) {
        try {
          const { done, value } = await events.next();
          if (done === true) {
            leave();
            return controller.close();
          }
          const text = value === null ? ": alive" : await tell(value);
          if (text === null) continue;
          return controller.enqueue(encoder.encode(`${text}\n\n`));
        } catch (error) {
          leave();
          throw error;
        }
      }
    },
    cancel: leave,
  });
  return new Response(body, { headers: HEADERS });
}
