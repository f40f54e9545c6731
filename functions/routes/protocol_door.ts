/**
 * What the doors of other protocols (Cog, Replicate, RunPod) have in common: how their input becomes a run, where its
 * result is found without a key, and who is told of it. All of them are views of the one run model.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import { type Link, LINK_LIFE, type Links } from "../../core/runs/links.ts";
import type { RunRecord } from "../../core/runs/record.ts";
import type { CreateRequest } from "../../core/runs/run_request.ts";
import type { Runs } from "../../core/runs/service.ts";
import type { Shape } from "../../core/runs/webhooks/shapes.ts";
import type { Environment } from "../middleware/request_id.ts";

export interface ProtocolDoor {
  readonly runs: Runs;
  readonly links: Links;
  /** Name of the model that draws, such as `scenes`. */
  readonly model: string;
  /** Where callers find this server, such as `https://unmask.example`. @default what a request says */
  readonly baseUrl?: string | null;
  /** Aborts when this server stops. */
  readonly closing?: AbortSignal;
  /** Whether every place for a run in this process is taken; absent: no worker is here. */
  readonly busy?: () => boolean;
}

export const NO_STORE = { "cache-control": "no-store" };

/** How long the link in a webhook lives: a receiver may come back a day later. */
const WEBHOOK_LINK_LIFE = 24 * LINK_LIFE;

/** The input of a run in other protocols: the task's own fields, and `task` beside them. */
export const inputSchema = z.record(z.string(), z.json());
export const webhookUrl = z.url({ protocol: /^https?$/ }).max(2000);

/** The task and its input. @throws {UnmaskError} `invalid_type` */
export function requestOf(input: z.infer<typeof inputSchema>): Pick<CreateRequest, "task" | "input"> {
  const { task = "draw", ...rest } = input;
  if (typeof task === "string") return { task, input: rest };
  throw new UnmaskError({
    code: "invalid_type",
    message: "`input.task` is no text",
    fix: "leave it out to draw, or name a task",
    param: "input.task",
  });
}

/** The first issue of a body as a refusal. @throws {UnmaskError} `unknown_parameter`, `invalid_parameter` */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, fields: readonly string[]): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const keys = issue?.code === "unrecognized_keys" ? issue.keys : undefined;
  const path = [...issue?.path ?? [], ...(keys === undefined ? [] : keys.slice(0, 1))].map(String).join(".");
  const param = path.replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
  throw new UnmaskError({
    code: keys === undefined ? "invalid_parameter" : "unknown_parameter",
    message: param === ""
      ? "the body is no JSON object"
      : keys === undefined
      ? `\`${param}\` is missing, or not what it should be`
      : `there is no parameter \`${param}\``,
    fix: `the parameters are ${fields.join(", ")}; see /openapi.json`,
    ...(param === "" ? {} : { param }),
  });
}

/** Where this server is, as its callers see it. */
export function originOf(context: Context<Environment>, { baseUrl }: ProtocolDoor): string {
  return baseUrl ?? new URL(context.req.url).origin;
}

/** An address of a run's result or events that needs no key. */
export function linkTo(
  origin: string,
  { links, runs }: ProtocolDoor,
  { owner, run, kind }: Link,
  life: number = LINK_LIFE,
): string {
  const token = links.sign({ owner, run, kind }, runs.ledger.now() + life);
  return `${origin}/v1/files/${token}${kind === "stream" ? "/stream" : ""}`;
}

/** What protocols call the moments of a run, and our events for them. */
export const WEBHOOK_EVENTS = ["start", "output", "logs", "completed"] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

const ENDS = ["run.succeeded", "run.failed", "run.cancelled", "run.expired"] as const;
const OUR_EVENTS: Readonly<Record<WebhookEvent, readonly string[]>> = {
  start: ["run.started"],
  // A run has one output, which comes with its end.
  output: ["run.succeeded"],
  logs: ["run.step"],
  completed: ENDS,
};

/** A receiver in the shape of a protocol, for {@linkcode Runs.create}. Signed with the secret of the run's own key. */
export function receiver(
  context: Context<Environment>,
  door: ProtocolDoor,
  url: string,
  events: readonly WebhookEvent[],
  shape: (record: RunRecord, origin: string) => Omit<Shape, "result">,
): (record: RunRecord) => RunRecord["webhooks"] {
  const origin = originOf(context, door);
  return (record) => {
    const { owner, id: run } = record;
    const result = linkTo(origin, door, { owner, run, kind: "result" }, WEBHOOK_LINK_LIFE);
    const asked = [...new Set(events.flatMap((event) => OUR_EVENTS[event]))];
    const plain = JSON.parse(JSON.stringify({ ...shape(record, origin), result })) as Record<string, string>;
    return [{ url, events: asked, secrets: [door.links.webhookSecret(owner)], shape: plain }];
  };
}
