/**
 * Who is told: endpoints of the server, for the runs of every owner, and addresses that one run names for itself.
 *
 * @module
 */

import { z } from "zod";
import { UnmaskError } from "../../errors.ts";
import { shapeSchema } from "./shapes.ts";

/** `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks 1.0). */
const secret = z.string().refine((value) => {
  try {
    if (!value.startsWith("whsec_")) return false;
    const { length } = Uint8Array.fromBase64(value.slice(6));
    return length >= 24 && length <= 64;
  } catch {
    return false;
  }
});

/** An event's type, or a group of them: `run.succeeded`, `run.*`, `*`. */
const filter = z.array(z.string().regex(/^(\*|[a-z_]+(\.[a-z_]+)*(\.\*)?)$/)).min(1).max(20);

const url = z.url({ protocol: /^https?$/ }).max(2000);

/** What a run is told of where it does not say: how it ended. */
export const DEFAULT_EVENTS = ["run.succeeded", "run.failed", "run.cancelled", "run.expired"] as const;

export const serverEndpointSchema = z.strictObject({
  /** Stands in keys and ids; keep it when the address changes. */
  name: z.string().regex(/^[a-z0-9_-]{1,40}$/),
  url,
  /** Each attempt is signed with all of them: put a new one first, and take the old one out when receivers know both. */
  secrets: z.array(secret).min(1).max(5),
  events: filter.default([...DEFAULT_EVENTS]),
});
export type ServerEndpoint = z.infer<typeof serverEndpointSchema>;

export const runWebhookSchema = z.strictObject({
  url,
  /** Without one the server's own secrets sign. */
  secrets: z.array(secret).min(1).max(5).optional(),
  events: filter.default([...DEFAULT_EVENTS]),
  /** A body of another protocol, as the doors of that protocol ask for it. */
  shape: shapeSchema.optional(),
});
export type RunWebhook = z.infer<typeof runWebhookSchema>;

/** All that deliveries need to know of this server. */
export interface WebhookConfig {
  readonly endpoints: readonly ServerEndpoint[];
  /** Sign what goes to a run's own addresses where the run brings none. */
  readonly secrets: readonly string[];
  /** Where receivers find the server, such as `https://unmask.example`; null: links are paths. */
  readonly base_url: string | null;
}

export const NO_WEBHOOKS: WebhookConfig = { endpoints: [], secrets: [], base_url: null };

/**
 * The addresses that a run asks for, checked before it is accepted.
 *
 * @throws `invalid_webhook` (400), `webhook_secret_missing` (400)
 */
export function parseRunWebhooks(values: readonly unknown[], config: WebhookConfig): RunWebhook[] {
  return values.map((value, i) => {
    const parsed = runWebhookSchema.safeParse(value);
    const param = `webhooks[${i}]`;
    if (!parsed.success) {
      const path = parsed.error.issues[0]?.path.join(".") ?? "";
      throw new UnmaskError({
        code: "invalid_webhook",
        message: `${param} is not a webhook${path === "" ? "" : ` (${path})`}`,
        fix:
          'give {"url": "https://...", "events": ["run.succeeded"], "secrets": ["whsec_" + base64 of 24 to 64 bytes]}',
        param,
      });
    }
    if (parsed.data.secrets === undefined && config.secrets.length === 0) {
      throw new UnmaskError({
        code: "webhook_secret_missing",
        message: `${param} has no secret, and this server has none of its own to sign with`,
        fix: `give secrets: ["${newSecret()}"], and keep it for verification`,
        param,
      });
    }
    return parsed.data;
  });
}

/** Whether `type` passes the filter. */
export function wants(events: readonly string[], type: string): boolean {
  return events.some((event) =>
    event === "*" || event === type || (event.endsWith(".*") && type.startsWith(event.slice(0, -1)))
  );
}

/** A fresh secret of 32 random bytes. */
export function newSecret(): string {
  return `whsec_${crypto.getRandomValues(new Uint8Array(32)).toBase64()}`;
}
