/**
 * What its owner sees of a run's webhooks, and may do again.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import { conflict } from "../store/failures.ts";
import { type Entry, listAll, type Store } from "../store/types.ts";
import { type Attempt, type DuePlace, endpointId, type Message, type MessageState, webhookKeys } from "./message.ts";

/** A message without its secrets. */
export interface Delivery {
  readonly id: string;
  readonly type: string;
  /** Name of the server's endpoint; null: `url`. */
  readonly endpoint: string | null;
  readonly url: string | null;
  readonly created_at: number;
  readonly state: MessageState;
  /** Unix ms. */
  readonly next_attempt_at: number | null;
  readonly attempts: readonly Attempt[];
}

/** The delivery log of a run. Another owner's is empty. */
export async function deliveriesOf(store: Store, owner: string, run: string): Promise<Delivery[]> {
  const found: Delivery[] = [];
  for await (const { value } of listAll<Message>(store, { prefix: webhookKeys.messagesOf(owner, run) })) {
    const { id, type, endpoint, url, created_at, state, due_at, attempts } = value;
    found.push({ id, type, endpoint, url, created_at, state, next_attempt_at: due_at, attempts });
  }
  return found.sort((a, b) => a.created_at - b.created_at);
}

/**
 * Sends a message again, whatever came of it: same id, same body, the schedule from its beginning. An endpoint that was
 * disabled takes messages again.
 *
 * @throws `webhook_not_found` (404), `store_conflict` (409)
 */
export async function replay(
  store: Store,
  owner: string,
  run: string,
  id: string,
  now: number = Date.now(),
): Promise<void> {
  const entry: Entry<Message> | null = await store.get<Message>(webhookKeys.message(owner, run, id));
  if (entry === null) {
    throw new UnmaskError({
      code: "webhook_not_found",
      message: "this run has no webhook message of this id",
      fix: "look for it in the run's delivery log",
      param: "id",
      status: 404,
    });
  }
  const message = entry.value;
  const place: DuePlace = { owner, run };
  const result = await store.commit({
    checks: [{ key: entry.key, version: entry.version }],
    sets: [
      { key: entry.key, value: { ...message, state: "pending", failed: 0, due_at: now } satisfies Message },
      { key: webhookKeys.due(now, id), value: place },
    ],
    deletes: [
      webhookKeys.endpoint(await endpointId(message)),
      ...(message.due_at === null || message.due_at === now ? [] : [webhookKeys.due(message.due_at, id)]),
    ],
  });
  if (!result.ok) throw conflict("the message");
}

/** Takes away all messages of a run, with its record. Returns how many there were. */
export async function deleteMessagesOf(store: Store, owner: string, run: string): Promise<number> {
  let count = 0;
  for await (const { key, value } of listAll<Message>(store, { prefix: webhookKeys.messagesOf(owner, run) })) {
    const due = value.due_at === null ? [] : [webhookKeys.due(value.due_at, value.id)];
    await store.commit({ deletes: [key, ...due] });
    count++;
  }
  return count;
}
