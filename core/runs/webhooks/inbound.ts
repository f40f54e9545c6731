/**
 * Webhooks in: a signed Standard Webhook starts a configured task, once for each `webhook-id` however often it is sent.
 * Once is the promise of the idempotency entry that is written in the commit which accepts the run; nothing is
 * remembered here beside it.
 *
 * @module
 */

import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { z } from "zod";
import { UnmaskError } from "../../errors.ts";
import { serverEndpointSchema } from "./endpoint.ts";

export const hookSchema = z.strictObject({
  /** The last part of `POST /v1/hooks/{name}`. */
  name: serverEndpointSchema.shape.name,
  /** A message signed with any of them is taken; for rotation. */
  secrets: serverEndpointSchema.shape.secrets,
  /** Whose runs these are. */
  owner: z.string().min(1),
  task: z.string(),
  /** Fields of the task's input that are always the same. */
  input: z.record(z.string(), z.json()).default({}),
  /** Fields of the input that come from the message: `{"prompt": "data.text"}`. */
  take: z.record(z.string(), z.string()).default({}),
  /** Event types that start a run; others are taken and start nothing. Empty: all. */
  events: z.array(z.string()).default([]),
});
export type Hook = z.infer<typeof hookSchema>;

/** A run to start. */
export interface HookRun {
  readonly owner: string;
  readonly request: { readonly task: string; readonly input: Readonly<Record<string, unknown>> };
  /** The same for every copy of one message; different between hooks. */
  readonly idempotencyKey: string;
}

/** Bytes of a message that are read. */
export const MOST_BODY = 262_144;

/**
 * The run that a message asks for; null for a type of event that starts none. What it does for a message it does for
 * each copy, so the caller's idempotency makes them one.
 *
 * @param body the very text that was signed
 * @throws `hook_not_found` (404), `webhook_unverified` (401: signature, or 300 s off in time), `webhook_invalid` (400)
 */
export function receive(hooks: readonly Hook[], name: string, headers: Headers, body: string): HookRun | null {
  const hook = hooks.find((candidate) => candidate.name === name);
  if (hook === undefined) {
    throw new UnmaskError({
      code: "hook_not_found",
      message: "there is no hook of this name",
      fix: "use a name that this server is configured with",
      param: "name",
      status: 404,
    });
  }
  const id = headers.get("webhook-id") ?? "";
  const payload = verify(hook, headers, body);
  // Beyond what the standard says: an id that is part of a key.
  if (!/^[\x21-\x7e]{1,200}$/.test(id)) throw invalid("webhook-id is empty or too long", "use up to 200 characters");
  const type = at(payload, "type");
  if (hook.events.length > 0 && (typeof type !== "string" || !hook.events.includes(type))) return null;
  const input: Record<string, unknown> = { ...hook.input };
  for (const [field, path] of Object.entries(hook.take)) {
    const value = at(payload, path);
    if (value === undefined) throw invalid(`the message has no ${path}`, `send ${path}; it is the task's ${field}`);
    input[field] = value;
  }
  return {
    owner: hook.owner,
    request: { task: hook.task, input },
    idempotencyKey: `hook ${hook.name} ${id}`,
  };
}

function verify(hook: Hook, headers: Headers, body: string): unknown {
  const given = Object.fromEntries(
    ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => [name, headers.get(name) ?? ""]),
  );
  let words = "";
  for (const secret of hook.secrets) {
    try {
      return new Webhook(secret).verify(body, given);
    } catch (error) {
      if (error instanceof SyntaxError) throw invalid("the message is no JSON", "send a JSON object");
      if (!(error instanceof WebhookVerificationError)) throw error;
      words = error.message;
    }
  }
  throw new UnmaskError({
    code: "webhook_unverified",
    message: `the webhook cannot be verified: ${words}`,
    fix: "sign with the hook's secret as Standard Webhooks 1.0 says, and keep the clock right (300 s)",
    status: 401,
  });
}

/** What lies at a path such as `data.text`; own properties alone. */
function at(value: unknown, path: string): unknown {
  let here = value;
  for (const part of path.split(".")) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, part)) return undefined;
    here = (here as Record<string, unknown>)[part];
  }
  return here;
}

function invalid(message: string, fix: string): UnmaskError {
  return new UnmaskError({ code: "webhook_invalid", message, fix, param: "body" });
}
