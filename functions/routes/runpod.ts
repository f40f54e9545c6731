/**
 * RunPod's serverless endpoints under `/v2/{endpoint}/` (field-notes A4). Whatever the endpoint is called, it is this
 * server: an id from that cloud can stay in a client's settings.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import type { RunRecord } from "../../core/runs/record.ts";
import { jobOf } from "../../core/runs/views/job.ts";
import { outputOf } from "../../core/runs/views/output.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import { type Limits, readJson } from "../middleware/limits.ts";
import { ownerOf } from "../middleware/owner.ts";
import type { Environment } from "../middleware/request_id.ts";
import {
  inputSchema,
  NO_STORE,
  parseBody,
  type ProtocolDoor,
  receiver,
  requestOf,
  webhookUrl,
} from "./protocol_door.ts";
import { endpointHealth, purgeQueue } from "./runpod_queue.ts";
import { jobChunks } from "./runpod_stream.ts";
import { settled } from "./waiting.ts";

export const runpodRequestSchema = z.strictObject({
  input: inputSchema,
  webhook: webhookUrl.optional(),
  policy: z.strictObject({
    /** Ms at work after which the job ends as TIMED_OUT. */
    executionTimeout: z.int().min(1000).max(604_800_000).optional(),
    /** Ms from now after which the job ends as TIMED_OUT. */
    ttl: z.int().min(1000).max(604_800_000).optional(),
    lowPriority: z.boolean().optional(),
  }).optional(),
});

const LOW = 1;
/** Ms that `/runsync` and `/status-sync` wait where nothing is said, and the least and most that may be. */
const WAIT = { usual: 90_000, least: 1000, most: 300_000 } as const;

type Handler = (context: Context<Environment>, door: ProtocolDoor) => Promise<Response>;

export function runpodRoutes(opening: Promise<ProtocolDoor>, limits: Limits): Hono<Environment> {
  const routes = new Hono<Environment>().basePath("/v2/:endpoint{[\\w-]{1,64}}");
  const on = (method: "GET" | "POST", path: string, handler: Handler) => {
    routes.on(method, path, async (context) => await handler(context, await opening));
    routes.all(path, methodNotAllowed(method === "GET" ? ["GET", "HEAD"] : ["POST"]));
  };
  const job = async (context: Context<Environment>, { runs }: ProtocolDoor, record: RunRecord) =>
    context.json(jobOf(record, await outputOf(runs, record)), 200, NO_STORE);
  const own = ({ runs }: ProtocolDoor, context: Context<Environment>) =>
    runs.get(ownerOf(context), context.req.param("id") ?? "");

  on("POST", "/run", async (context, door) => await job(context, door, await create(context, door, limits)));
  on("POST", "/runsync", async (context, door) => {
    const wait = waitOf(context);
    const record = await create(context, door, limits);
    return await job(context, door, await settled(context, door, { wait, keep: true }, { record, attached: false }));
  });
  on("GET", "/status/:id", async (context, door) => await job(context, door, await own(door, context)));
  on("GET", "/status-sync/:id", async (context, door) => {
    const wait = waitOf(context);
    const record = await own(door, context);
    return await job(context, door, await settled(context, door, { wait, keep: true }, { record, attached: true }));
  });
  on("GET", "/stream/:id", async (context, door) => {
    return context.json(await jobChunks(door, await own(door, context), context.req.raw.signal), 200, NO_STORE);
  });
  on("POST", "/cancel/:id", async (context, door) => {
    const { id } = await own(door, context);
    return await job(context, door, await door.runs.cancel(ownerOf(context), id));
  });
  on("POST", "/retry/:id", async (context, door) => {
    const { id } = await own(door, context);
    return await job(context, door, await door.runs.retry(ownerOf(context), id));
  });
  on("POST", "/purge-queue", async (context, door) => {
    const removed = await purgeQueue(door.runs, ownerOf(context));
    return context.json({ removed, status: "completed" }, 200, NO_STORE);
  });
  on("GET", "/health", async (context, door) => {
    return context.json(await endpointHealth(door, ownerOf(context)), 200, NO_STORE);
  });
  return routes;
}

async function create(context: Context<Environment>, door: ProtocolDoor, limits: Limits): Promise<RunRecord> {
  const fields = Object.keys(runpodRequestSchema.shape);
  const { input, webhook, policy } = parseBody(
    runpodRequestSchema,
    await readJson(context.req.raw, limits),
    fields,
  );
  const { ttl, executionTimeout, lowPriority = false } = policy ?? {};
  const request = {
    ...requestOf(input),
    ...(ttl === undefined ? {} : { deadline_ms: ttl }),
    ...(executionTimeout === undefined ? {} : { work_ms: executionTimeout }),
    ...(lowPriority ? { priority: LOW } : {}),
  };
  const { record } = await door.runs.create(ownerOf(context), request, undefined, {
    ...(webhook === undefined
      ? {}
      : { webhooks: receiver(context, door, webhook, ["completed"], () => ({ as: "runpod" })) }),
  });
  return record;
}

/** @throws {UnmaskError} `wait_out_of_range` */
function waitOf(context: Context<Environment>): number {
  const text = context.req.query("wait");
  const wait = text === undefined ? WAIT.usual : Number(text);
  if (text !== "" && Number.isInteger(wait) && wait >= WAIT.least && wait <= WAIT.most) return wait;
  throw new UnmaskError({
    code: "wait_out_of_range",
    message: "wait is no number of milliseconds that this server waits",
    fix: `use ${WAIT.least} to ${WAIT.most}`,
    param: "wait",
  });
}
