/**
 * A message of the outbox: one event for one endpoint, with all that was tried. It is never changed in id or body.
 *
 * @module
 */

import type { Key } from "../store/types.ts";

/** How one attempt went. */
export interface Attempt {
  /** Unix ms at which it began. */
  readonly at: number;
  readonly duration_ms: number;
  /** HTTP status; null: there was no answer. */
  readonly status: number | null;
  /** Why it did not count as delivered; null: it did. */
  readonly error: string | null;
}

/**
 * `pending` until a 2xx (`delivered`), until the schedule is used up (`failed`), until the endpoint said 410 (`gone`),
 * or while a delivery found its endpoint disabled (`disabled`) or no more configured (`gone`).
 */
export type MessageState = "pending" | "delivered" | "failed" | "gone" | "disabled";

export interface Message {
  /** `webhook-id`: the same at every attempt and replay. */
  readonly id: string;
  readonly owner: string;
  readonly run: string;
  readonly type: string;
  /** The very text that is signed and sent. */
  readonly body: string;
  /** Name of a server's endpoint; null: the run's own address. */
  readonly endpoint: string | null;
  /** Of a run's own address; a server's is looked up at each attempt. */
  readonly url: string | null;
  /** Of a run's own address, if it brought any. */
  readonly secrets: readonly string[] | null;
  readonly created_at: number;
  readonly state: MessageState;
  /** Unix ms of the next attempt, or of when a claim lapses; null when there is none. */
  readonly due_at: number | null;
  /** Failed attempts since the event, or since the last replay. */
  readonly failed: number;
  /** The delivery log: the last {@linkcode LOG_LENGTH}. */
  readonly attempts: readonly Attempt[];
}

export const LOG_LENGTH = 30;

/** What is known of an endpoint beside its configuration. */
export interface EndpointState {
  /** Unix ms at which it answered 410; null: it takes messages. */
  readonly disabled_at: number | null;
  /** Unix ms before which nothing is sent (429, 502, 503, 504). */
  readonly throttled_until: number;
}

export const webhookKeys = {
  message: (owner: string, run: string, id: string): Key => ["webhook", owner, run, id],
  messagesOf: (owner: string, run: string): Key => ["webhook", owner, run],
  /** What is to be sent, by time. The value is the message's place. */
  due: (at: number, id: string): Key => ["webhook_due", at, id],
  allDue: ["webhook_due"] as Key,
  endpoint: (id: string): Key => ["webhook_endpoint", id],
} as const;

/** Value of a due key. */
export interface DuePlace {
  readonly owner: string;
  readonly run: string;
}

/** The endpoint as one thing, whichever run names it: a name, or the owner and the address's hash. */
export async function endpointId(message: Message): Promise<string> {
  if (message.endpoint !== null) return `server:${message.endpoint}`;
  const text = new TextEncoder().encode(`${message.owner} ${message.url}`);
  return `run:${new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex().slice(0, 32)}`;
}
