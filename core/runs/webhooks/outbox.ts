/**
 * What goes out because of a run's events, as writes for the very commit that holds them: an event that is seen was
 * also put into the outbox, and the other way round. Nothing is sent here.
 *
 * @module
 */

import type { Outbox } from "../ledger.ts";
import type { RunEvent, RunRecord } from "../record.ts";
import type { Write } from "../store/types.ts";
import { runWebhookSchema, wants, type WebhookConfig } from "./endpoint.ts";
import { type DuePlace, type Message, webhookKeys } from "./message.ts";
import { type Shape, shapedBody, told } from "./shapes.ts";

/** One address for one event. */
interface Target {
  /** Part of the message's id: letters, digits, `_` and `-`. */
  readonly label: string;
  readonly endpoint: string | null;
  readonly url: string | null;
  readonly secrets: readonly string[] | null;
  /** Of a run's own address: the body of another protocol. */
  readonly shape?: Shape | undefined;
}

/** Bytes of a body: a message says what happened and where the result lies, never the result (field-notes A11). */
const MOST_BODY = 20_000;

/** @param onQueued told when a commit is being made that has messages, so that a dispatcher here need not poll */
export function makeOutbox(config: WebhookConfig, onQueued: () => void = () => {}): Outbox {
  return (record, events) => {
    const writes = events.flatMap((event) =>
      targets(config, record, event.type).flatMap((target) => writesOf(config, record, event, target))
    );
    if (writes.length > 0) onQueued();
    return writes;
  };
}

function targets(config: WebhookConfig, record: RunRecord, type: string): Target[] {
  const server = config.endpoints.filter((endpoint) => wants(endpoint.events, type))
    .map((endpoint): Target => ({ label: endpoint.name, endpoint: endpoint.name, url: null, secrets: null }));
  const own = record.webhooks.flatMap((value, i): Target[] => {
    // Checked when the run was accepted; what an older version took and this one does not is sent nowhere.
    const parsed = runWebhookSchema.safeParse(value);
    if (!parsed.success || !wants(parsed.data.events, type)) return [];
    const { url, secrets = null, shape } = parsed.data;
    return [{ label: `own-${i}`, endpoint: null, url, secrets, shape }];
  });
  return [...server, ...own];
}

function writesOf(config: WebhookConfig, record: RunRecord, event: RunEvent, target: Target): Write[] {
  const { owner, id: run } = record;
  const { shape } = target;
  if (shape !== undefined && !told(event)) return [];
  // From run, event and endpoint alone: a commit that is tried again makes the same message. No "." may be in it.
  const id = `msg_${run.replace(/[^\w-]/g, "_")}_${event.sequence}_${target.label}`;
  const message: Message = {
    id,
    owner,
    run,
    type: event.type,
    body: shape === undefined ? bodyOf(config, record, event) : shapedBody(record, event, shape),
    endpoint: target.endpoint,
    url: target.url,
    secrets: target.secrets,
    created_at: event.time,
    state: "pending",
    due_at: event.time,
    failed: 0,
    attempts: [],
  };
  const place: DuePlace = { owner, run };
  return [
    { key: webhookKeys.message(owner, run, id), value: message },
    { key: webhookKeys.due(event.time, id), value: place },
  ];
}

/** `{type, timestamp, data}`; data: the run's id, task, state, step and steps, its error, links, and the event's own. */
function bodyOf(config: WebhookConfig, record: RunRecord, event: RunEvent): string {
  const link = `${config.base_url ?? ""}/v1/runs/${encodeURIComponent(record.id)}`;
  const { state, task, step, steps, error } = record;
  const data = {
    id: record.id,
    task,
    state,
    step,
    steps,
    sequence: event.sequence,
    links: { run: link, ...(state === "succeeded" ? { result: `${link}/result` } : {}) },
    ...(error === null ? {} : { error }),
  };
  const timestamp = new Date(event.time).toISOString();
  const whole = JSON.stringify({ type: event.type, timestamp, data: { ...data, event: event.data } });
  if (new TextEncoder().encode(whole).length <= MOST_BODY) return whole;
  return JSON.stringify({ type: event.type, timestamp, data });
}
