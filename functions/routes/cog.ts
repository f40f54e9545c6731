/**
 * The HTTP interface of a Cog container, at the root (field-notes A2): predictions are runs, and an id that a client gives
 * names one run for good.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import { isTerminal, type RunRecord } from "../../core/runs/record.ts";
import type { Accepted } from "../../core/runs/acceptance.ts";
import { outputOf } from "../../core/runs/views/output.ts";
import { cogPrediction } from "../../core/runs/views/prediction.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import { type Limits, readJson } from "../middleware/limits.ts";
import { ownerOf } from "../middleware/owner.ts";
import { preference } from "../middleware/prefer.ts";
import type { Environment } from "../middleware/request_id.ts";
import { cogStream } from "./cog_stream.ts";
import {
  inputSchema,
  NO_STORE,
  parseBody,
  type ProtocolDoor,
  receiver,
  requestOf,
  WEBHOOK_EVENTS,
  webhookUrl,
} from "./protocol_door.ts";
import type { Readiness } from "./readiness.ts";
import { requireStreamRoom } from "./stream_room.ts";
import { settled } from "./waiting.ts";

export const predictionId = z.string().regex(/^[\w-]{1,128}$/);

export const cogRequestSchema = z.strictObject({
  id: predictionId.optional(),
  input: inputSchema,
  webhook: webhookUrl.optional(),
  webhook_events_filter: z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(4).optional(),
});

export const cogHealthSchema = z.object({
  status: z.enum(["STARTING", "READY", "BUSY", "SETUP_FAILED", "DEFUNCT"]),
  setup: z.object({
    started_at: z.string(),
    completed_at: z.string().optional(),
    status: z.enum(["starting", "succeeded", "failed"]),
    logs: z.string(),
  }),
});

/** Where a container's parts are, as Cog tells at its root. */
export const cogDiscoverySchema = z.strictObject({
  docs_url: z.string(),
  openapi_url: z.string(),
  healthcheck_url: z.string(),
  predictions_url: z.string(),
  predictions_idempotent_url: z.string(),
  predictions_cancel_url: z.string(),
});

const DISCOVERY: z.infer<typeof cogDiscoverySchema> = {
  docs_url: "/docs",
  openapi_url: "/openapi.json",
  healthcheck_url: "/health-check",
  predictions_url: "/predictions",
  predictions_idempotent_url: "/predictions/{prediction_id}",
  predictions_cancel_url: "/predictions/{prediction_id}/cancel",
};

export function cogRoutes(opening: Promise<ProtocolDoor>, readiness: Readiness, limits: Limits): Hono<Environment> {
  const routes = new Hono<Environment>();
  let door: ProtocolDoor | undefined;
  opening.then((opened) => door = opened, () => {});
  // Whoever asks for HTML is a browser, and gets the page, which is mounted behind this.
  routes.get("/", async (context, next) => {
    if (/\btext\/html\b/.test(context.req.header("accept") ?? "")) return await next();
    return context.json(DISCOVERY, 200, { vary: "accept" });
  });
  routes.get("/health-check", (context) => context.json(health(readiness, door?.busy?.() ?? false), 200, NO_STORE));
  routes.all("/health-check", methodNotAllowed(["GET", "HEAD"]));
  routes.post("/predictions", async (context) => await create(context, await opening, limits));
  routes.put("/predictions/:id", async (context) => {
    const id = predictionId.safeParse(context.req.param("id"));
    if (!id.success) throw idInvalid();
    return await create(context, await opening, limits, id.data);
  });
  routes.post("/predictions/:id/cancel", async (context) => {
    const { runs } = await opening;
    const { id } = await find(context, await opening, context.req.param("id"));
    await runs.cancel(ownerOf(context), id);
    return context.json({}, 200, NO_STORE);
  });
  routes.all("/predictions", methodNotAllowed(["POST"]));
  routes.all("/predictions/:id", methodNotAllowed(["PUT"]));
  routes.all("/predictions/:id/cancel", methodNotAllowed(["POST"]));
  return routes;
}

async function create(
  context: Context<Environment>,
  door: ProtocolDoor,
  limits: Limits,
  pathId?: string,
): Promise<Response> {
  const { runs } = door;
  const prefer = preference(context.req.header("prefer"));
  const body = parseBody(
    cogRequestSchema,
    await readJson(context.req.raw, limits),
    Object.keys(cogRequestSchema.shape),
  );
  if (pathId !== undefined && body.id !== undefined && body.id !== pathId) throw idInvalid();
  const id = pathId ?? body.id;
  const { webhook, webhook_events_filter: events = WEBHOOK_EVENTS } = body;
  const streamed = /\btext\/event-stream\b/.test(context.req.header("accept") ?? "");
  if (streamed) requireStreamRoom(runs, ownerOf(context));
  const accepted = await runs.create(
    ownerOf(context),
    requestOf(body.input),
    id === undefined ? undefined : keyOf(id),
    {
      asked: { ...body, id },
      ...(webhook === undefined
        ? {}
        : { webhooks: receiver(context, door, webhook, events, ({ id: own }) => ({ as: "cog", id: id ?? own })) }),
    },
  );
  const name = id ?? accepted.record.id;
  if (streamed) {
    return cogStream(context, door, accepted.record, name);
  }
  return await answer(context, door, await settledOf(context, door, prefer, accepted), name);
}

function settledOf(
  context: Context<Environment>,
  { runs, closing }: ProtocolDoor,
  prefer: ReturnType<typeof preference>,
  accepted: Accepted,
): Promise<RunRecord> {
  return settled(context, { runs, ...(closing === undefined ? {} : { closing }) }, prefer, accepted);
}

async function answer(
  context: Context<Environment>,
  { runs }: ProtocolDoor,
  record: RunRecord,
  name: string,
): Promise<Response> {
  const prediction = cogPrediction(record, await outputOf(runs, record), name);
  return context.json(prediction, isTerminal(record.state) ? 200 : 202, NO_STORE);
}

/** Always 200, as Cog answers: its callers look at `status`. */
function health(readiness: Readiness, busy: boolean): z.infer<typeof cogHealthSchema> {
  const { status, startedAt, completedAt } = readiness.report();
  return {
    status: status === "ready" && busy ? "BUSY" : HEALTH[status],
    setup: {
      started_at: new Date(startedAt).toISOString(),
      ...(completedAt === null ? {} : { completed_at: new Date(completedAt).toISOString() }),
      status: status === "loading" ? "starting" : status === "failed" ? "failed" : "succeeded",
      logs: "",
    },
  };
}

const HEALTH = { loading: "STARTING", ready: "READY", failed: "SETUP_FAILED", dead: "DEFUNCT" } as const;

/** The run that goes by a client's id, or by our own. */
async function find(context: Context<Environment>, { runs }: ProtocolDoor, id: string): Promise<RunRecord> {
  const owner = ownerOf(context);
  return id.startsWith("run_") ? await runs.get(owner, id) : await runs.find(owner, keyOf(id));
}

function keyOf(id: string): string {
  return `cog:${id}`;
}

function idInvalid(): UnmaskError {
  return new UnmaskError({
    code: "prediction_id_invalid",
    message: "this is no id of a prediction, or the body names another one than the path",
    fix: "use 1 to 128 letters, digits, - and _, such as a UUID in base32",
    param: "id",
  });
}
