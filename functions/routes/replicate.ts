/**
 * Replicate's cloud under `/replicate/v1` (field-notes A2), so that its clients work with another base URL. There is one
 * model, `unmask/{name}`, whose only version bears the model's name.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import { isTerminal, type RunRecord } from "../../core/runs/record.ts";
import { outputOf } from "../../core/runs/views/output.ts";
import { replicatePrediction } from "../../core/runs/views/prediction.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import { type Limits, readJson } from "../middleware/limits.ts";
import { ownerOf } from "../middleware/owner.ts";
import { type Preference, preference } from "../middleware/prefer.ts";
import type { Environment } from "../middleware/request_id.ts";
import {
  inputSchema,
  linkTo,
  NO_STORE,
  originOf,
  parseBody,
  type ProtocolDoor,
  receiver,
  requestOf,
  WEBHOOK_EVENTS,
  webhookUrl,
} from "./protocol_door.ts";
import { BASE } from "./replicate_base.ts";
import { createFile, listFiles, removeFile, showFile, withFiles } from "./replicate_files.ts";
import { settled } from "./waiting.ts";

export const MODEL_OWNER = "unmask";

export const replicateRequestSchema = z.strictObject({
  input: inputSchema,
  /** `name`, `owner/name` or `owner/name:version`. */
  version: z.string().max(200).optional(),
  webhook: webhookUrl.optional(),
  webhook_events_filter: z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(4).optional(),
  /** Streams are always there; the field is from older clients. */
  stream: z.boolean().optional(),
});

/** Seconds of `Prefer: wait` without a number, as that cloud waits. */
const WAIT = 60;

type Handler = (context: Context<Environment>, door: ProtocolDoor) => Promise<Response>;

export function replicateRoutes(opening: Promise<ProtocolDoor>, limits: Limits): Hono<Environment> {
  const routes = new Hono<Environment>().basePath(BASE);
  const on = (method: "GET" | "POST" | "DELETE", path: string, handler: Handler) =>
    routes.on(method, path, async (context) => await handler(context, await opening));

  on("POST", "/predictions", (context, door) => create(context, door, limits));
  on("POST", "/models/:owner/:name/predictions", (context, door) => {
    requireModel(door, `${context.req.param("owner")}/${context.req.param("name")}`, "model");
    return create(context, door, limits);
  });
  on("GET", "/predictions", async (context, door) => {
    const cursor = context.req.query("cursor") ?? null;
    const page = await door.runs.list(ownerOf(context), { limit: 20, cursor });
    const results = page.records.map((record) => view(context, door, record, null));
    const here = `${originOf(context, door)}${BASE}/predictions`;
    const next = page.cursor === null ? null : `${here}?cursor=${encodeURIComponent(page.cursor)}`;
    return context.json({ next, previous: null, results }, 200, NO_STORE);
  });
  on("GET", "/predictions/:id", async (context, door) => {
    return await answer(context, door, await door.runs.get(ownerOf(context), context.req.param("id") ?? ""), 200);
  });
  on("POST", "/predictions/:id/cancel", async (context, door) => {
    return await answer(context, door, await door.runs.cancel(ownerOf(context), context.req.param("id") ?? ""), 200);
  });
  on("GET", "/models/:owner/:name", (context, door) => {
    const { owner, name } = context.req.param() as { owner: string; name: string };
    requireModel(door, `${owner}/${name}`, "model");
    return Promise.resolve(context.json(modelOf(context, door), 200, NO_STORE));
  });
  on("GET", "/webhooks/default/secret", (context, door) => {
    return Promise.resolve(context.json({ key: door.links.webhookSecret(ownerOf(context)) }, 200, NO_STORE));
  });
  on("GET", "/account", (context) => {
    return Promise.resolve(
      context.json({ type: "organization", username: ownerOf(context), name: null }, 200, NO_STORE),
    );
  });
  on("POST", "/files", (context, door) => createFile(context, door, limits));
  on("GET", "/files", listFiles);
  on("GET", "/files/:id", showFile);
  on("DELETE", "/files/:id", removeFile);
  routes.all("/files", methodNotAllowed(["GET", "POST"]));
  routes.all("/files/:id", methodNotAllowed(["GET", "DELETE"]));
  for (const path of ["/predictions/:id", "/models/:owner/:name", "/webhooks/default/secret", "/account"]) {
    routes.all(path, methodNotAllowed(["GET", "HEAD"]));
  }
  routes.all("/predictions", methodNotAllowed(["GET", "POST"]));
  for (const path of ["/predictions/:id/cancel", "/models/:owner/:name/predictions"]) {
    routes.all(path, methodNotAllowed(["POST"]));
  }
  return routes;
}

async function create(context: Context<Environment>, door: ProtocolDoor, limits: Limits): Promise<Response> {
  const { runs, closing } = door;
  const prefer = waitOf(context);
  const deadline_ms = cancelAfter(context.req.header("cancel-after"));
  const fields = Object.keys(replicateRequestSchema.shape);
  const body = parseBody(replicateRequestSchema, await readJson(context.req.raw, limits), fields);
  if (body.version !== undefined) requireModel(door, body.version, "version");
  const { webhook, webhook_events_filter: events = WEBHOOK_EVENTS } = body;
  const { task, input } = requestOf(body.input);
  const filled = await withFiles(context, door, input);
  const request = { task, input: filled, ...(deadline_ms === null ? {} : { deadline_ms }) };
  const accepted = await runs.create(ownerOf(context), request, undefined, {
    ...(webhook === undefined ? {} : {
      webhooks: receiver(context, door, webhook, events, (record, origin) => ({
        as: "replicate",
        ...partsOf(origin, door, record),
      })),
    }),
  });
  const place = { runs, ...(closing === undefined ? {} : { closing }) };
  const record = await settled(context, place, prefer, accepted);
  return await answer(context, door, record, isTerminal(record.state) || prefer.wait === 0 ? 201 : 202);
}

async function answer(
  context: Context<Environment>,
  door: ProtocolDoor,
  record: RunRecord,
  status: 200 | 201 | 202,
): Promise<Response> {
  return context.json(view(context, door, record, await outputOf(door.runs, record)), status, NO_STORE);
}

function view(
  context: Context<Environment>,
  door: ProtocolDoor,
  record: RunRecord,
  output: Awaited<ReturnType<typeof outputOf>>,
) {
  return replicatePrediction(record, output, partsOf(originOf(context, door), door, record));
}

function partsOf(origin: string, door: ProtocolDoor, { owner, id: run }: RunRecord) {
  return {
    model: `${MODEL_OWNER}/${door.model}`,
    version: door.model,
    base: `${origin}${BASE}`,
    stream: linkTo(origin, door, { owner, run, kind: "stream" }),
  };
}

/** Nobody waits unless they ask to, and whoever leaves keeps the run: this cloud's clients come back and poll. */
function waitOf(context: Context<Environment>): Preference {
  const header = context.req.header("prefer");
  const asked = preference(header);
  if (header === undefined) return { wait: 0, keep: true };
  return { wait: asked.wait ?? WAIT * 1000, keep: true };
}

/** `Cancel-After`: seconds, or as `1m30s`. @throws {UnmaskError} `cancel_after_invalid` */
function cancelAfter(header: string | undefined): number | null {
  if (header === undefined) return null;
  const match = /^(?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s?)?$/.exec(header.trim());
  const [hours, minutes, seconds] = (match ?? []).slice(1).map((part) => Number(part ?? 0));
  const all = ((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
  if (match !== null && all >= 5 && all <= 86_400) return all * 1000;
  throw new UnmaskError({
    code: "cancel_after_invalid",
    message: "the header Cancel-After is no duration from 5 seconds to a day",
    fix: "use seconds, or a duration such as 90s or 1h30m",
  });
}

/** @throws {UnmaskError} `model_not_found` (404) */
function requireModel({ model }: ProtocolDoor, asked: string, param: "model" | "version"): void {
  const full = `${MODEL_OWNER}/${model}`;
  if ([full, `${full}:${model}`, ...(param === "version" ? [model] : [])].includes(asked)) return;
  throw new UnmaskError({
    code: "model_not_found",
    message: "this server does not serve that model or version",
    fix: `use the model ${full}, or the version ${model}`,
    param,
    status: 404,
  });
}

function modelOf(context: Context<Environment>, door: ProtocolDoor) {
  const origin = originOf(context, door);
  return {
    url: `${origin}/`,
    owner: MODEL_OWNER,
    name: door.model,
    description: "A masked-diffusion model of images",
    visibility: "private",
    github_url: null,
    paper_url: null,
    license_url: null,
    run_count: 0,
    cover_image_url: null,
    default_example: null,
    latest_version: { id: door.model, created_at: new Date(0).toISOString(), cog_version: "0", openapi_schema: {} },
  };
}
