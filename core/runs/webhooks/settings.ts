/**
 * The file that says whom this server tells and whom it listens to:
 *
 * ```json
 * { "base_url": "https://unmask.example", "secrets": ["whsec_..."],
 *   "endpoints": [{ "name": "shop", "url": "https://shop.example/done", "secrets": ["whsec_..."] }],
 *   "delivery": { "delays_ms": [0, 5000, 300000], "longest_ms": 300000, "timeout_ms": 15000 },
 *   "hooks": [{ "name": "orders", "secrets": ["whsec_..."], "owner": "shop", "task": "draw", "take": { "prompt": "data.text" } }] }
 * ```
 *
 * @module
 */

import { z } from "zod";
import { UnmaskError } from "../../errors.ts";
import { serverEndpointSchema, type WebhookConfig } from "./endpoint.ts";
import { type Hook, hookSchema } from "./inbound.ts";
import type { RetrySchedule } from "./schedule.ts";

const settingsSchema = z.strictObject({
  base_url: z.url({ protocol: /^https?$/ }).nullable().default(null),
  secrets: serverEndpointSchema.shape.secrets.or(z.tuple([])).default([]),
  endpoints: z.array(serverEndpointSchema).max(20).default([]),
  hooks: z.array(hookSchema).max(100).default([]),
  delivery: z.strictObject({
    /** Milliseconds before each attempt; the first from the event. */
    delays_ms: z.array(z.number().min(0).max(2_592_000_000)).min(1).max(30),
    jitter: z.number().min(0).max(1).default(0.1),
    longest_ms: z.number().min(0).max(2_592_000_000),
    /** Milliseconds that a receiver may take. */
    timeout_ms: z.int().min(100).max(60_000),
  }).nullable().default(null),
});

export interface WebhookSettings {
  readonly out: WebhookConfig;
  readonly hooks: readonly Hook[];
  /** Another schedule than that of Standard Webhooks, and its patience; null: that one. */
  readonly delivery: Delivery | null;
}

export interface Delivery {
  readonly schedule: RetrySchedule;
  readonly timeout_ms: number;
}

/** @throws `webhook_settings_invalid`, with the place and never a secret in the message */
export function parseWebhookSettings(text: string): WebhookSettings {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid("it is no JSON");
  }
  const parsed = settingsSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(`${issue?.path.join(".") || "its top level"} is not what it should be (${issue?.code ?? "unknown"})`);
  }
  const { base_url, secrets, endpoints, hooks, delivery } = parsed.data;
  for (const [what, list] of [["endpoints", endpoints], ["hooks", hooks]] as const) {
    const names = list.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw invalid(`two of its ${what} are named ${twice}`);
  }
  return {
    out: { endpoints, secrets, base_url: base_url?.replace(/\/$/, "") ?? null },
    hooks,
    delivery: delivery === null ? null : deliveryOf(delivery),
  };
}

function deliveryOf({ timeout_ms, ...schedule }: RetrySchedule & { readonly timeout_ms: number }): Delivery {
  return { schedule, timeout_ms };
}

function invalid(what: string): UnmaskError {
  return new UnmaskError({
    code: "webhook_settings_invalid",
    message: `the webhook settings cannot be used: ${what}`,
    fix: "secrets are whsec_ and the base64 of 24 to 64 bytes; names are of a-z, 0-9, _ and -; see docs/design.md",
  });
}
