/**
 * The file that says whom this server tells and whom it listens to:
 *
 * ```json
 * { "base_url": "https://unmask.example", "secrets": ["whsec_..."],
 *   "endpoints": [{ "name": "shop", "url": "https://shop.example/done", "secrets": ["whsec_..."] }],
 *   "hooks": [{ "name": "orders", "secrets": ["whsec_..."], "owner": "shop", "task": "draw", "take": { "prompt": "data.text" } }] }
 * ```
 *
 * @module
 */

import { z } from "zod";
import { UnmaskError } from "../../errors.ts";
import { serverEndpointSchema, type WebhookConfig } from "./endpoint.ts";
import { type Hook, hookSchema } from "./inbound.ts";

const settingsSchema = z.strictObject({
  base_url: z.url({ protocol: /^https?$/ }).nullable().default(null),
  secrets: serverEndpointSchema.shape.secrets.or(z.tuple([])).default([]),
  endpoints: z.array(serverEndpointSchema).max(20).default([]),
  hooks: z.array(hookSchema).max(100).default([]),
});

export interface WebhookSettings {
  readonly out: WebhookConfig;
  readonly hooks: readonly Hook[];
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
  const { base_url, secrets, endpoints, hooks } = parsed.data;
  for (const [what, list] of [["endpoints", endpoints], ["hooks", hooks]] as const) {
    const names = list.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) throw invalid(`two of its ${what} are named ${twice}`);
  }
  return { out: { endpoints, secrets, base_url: base_url?.replace(/\/$/, "") ?? null }, hooks };
}

function invalid(what: string): UnmaskError {
  return new UnmaskError({
    code: "webhook_settings_invalid",
    message: `the webhook settings cannot be used: ${what}`,
    fix: "secrets are whsec_ and the base64 of 24 to 64 bytes; names are of a-z, 0-9, _ and -; see docs/design.md",
  });
}
