/**
 * The native routes: `/v1/runs`. Every run can be looked at, followed, paused, cancelled, branched and redrawn by the key
 * that made it.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import type { Picture } from "../../core/model/types.ts";
import { estimate } from "../../core/runs/estimate.ts";
import { knownPicture, pictureAt, timelineOf } from "../../core/runs/preview.ts";
import { askForPreview } from "../../core/runs/preview_jobs.ts";
import { isTerminal } from "../../core/runs/record.ts";
import {
  createSchema,
  forkSchema,
  parseRequest,
  type RedrawRequest,
  redrawSchema,
} from "../../core/runs/run_request.ts";
import type { Accepted } from "../../core/runs/acceptance.ts";
import type { Runs } from "../../core/runs/service.ts";
import { positionsOfBoxes, positionsOfMask } from "../../core/image/region.ts";
import type { EncodeOutput, StepEngine } from "../../core/runs/step_engine.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import { idempotencyKeyOf } from "../middleware/idempotency.ts";
import { type Limits, mediaLimits, readJson } from "../middleware/limits.ts";
import { ownerOf } from "../middleware/owner.ts";
import { type Preference, preference } from "../middleware/prefer.ts";
import type { Environment } from "../middleware/request_id.ts";
import { streamEvents } from "./runs_events.ts";
import { viewOf } from "./runs_view.ts";
import { settled } from "./waiting.ts";

/** What the routes are made of; `engine` is null on a front that computes nothing. */
export interface RunsDoor {
  readonly runs: Runs;
  readonly engine: StepEngine | null;
  readonly encode: EncodeOutput;
  /** A picture file's pixels, for masks. */
  readonly decode: (bytes: Uint8Array) => Promise<Picture>;
  /** Pixels a side of a picture; null where no model is loaded: then a position is 16 pixels wide. */
  readonly imageSize: number | null;
  /** Aborts when this server stops: waiting callers and event streams end, their runs go on elsewhere. */
  readonly closing?: AbortSignal;
  /** Ms between two heartbeats of an event stream. */
  readonly heartbeat?: number;
}

type Handler = (context: Context<Environment>, door: RunsDoor, id: string) => Promise<Response>;

const NO_STORE = { "cache-control": "no-store" };

export function runsRoutes(opening: Promise<RunsDoor>, limits: Limits): Hono<Environment> {
  const routes = new Hono<Environment>();
  // Inputs may bring pictures.
  const bodies = mediaLimits(limits);
  const on = (method: "get" | "post", path: string, handler: Handler) =>
    routes[method](path, async (context) => await handler(context, await opening, context.req.param("id") ?? ""));

  on("post", "/v1/runs/estimate", async (context, door) => {
    const { task, input } = parseRequest(createSchema, await readJson(context.req.raw, bodies));
    return context.json(await estimate(door.runs, door.engine, task, input), 200, NO_STORE);
  });
  on("post", "/v1/runs", async (context, door) => {
    const prefer = preference(context.req.header("prefer"));
    const request = parseRequest(createSchema, await readJson(context.req.raw, bodies));
    return await answer(
      context,
      door,
      prefer,
      await door.runs.create(ownerOf(context), request, idempotencyKeyOf(context)),
    );
  });
  on("post", "/v1/runs/:id/fork", async (context, door, id) => {
    const prefer = preference(context.req.header("prefer"));
    const request = parseRequest(forkSchema, await readJson(context.req.raw, bodies));
    return await answer(
      context,
      door,
      prefer,
      await door.runs.fork(ownerOf(context), id, request, idempotencyKeyOf(context)),
    );
  });
  on("post", "/v1/runs/:id/redraw", async (context, door, id) => {
    const prefer = preference(context.req.header("prefer"));
    const request = parseRequest(redrawSchema, await readJson(context.req.raw, bodies));
    const region = (side: number) => regionOf(request, door, side);
    const accepted = await door.runs.redraw(ownerOf(context), id, request, region, idempotencyKeyOf(context));
    return await answer(context, door, prefer, accepted);
  });
  on("get", "/v1/runs", async (context, { runs }) => {
    const cursor = context.req.query("cursor") ?? null;
    const page = await runs.list(ownerOf(context), { limit: limitOf(context), cursor });
    return context.json({ object: "list", data: page.records.map(viewOf), cursor: page.cursor }, 200, NO_STORE);
  });
  on("get", "/v1/runs/:id", async (context, { runs }, id) => {
    return context.json(viewOf(await runs.get(ownerOf(context), id)), 200, NO_STORE);
  });
  on(
    "get",
    "/v1/runs/:id/events",
    (context, { runs, heartbeat, closing }, id) => streamEvents(context, runs, id, closing, heartbeat),
  );
  for (const action of ["cancel", "pause", "resume", "retry"] as const) {
    on("post", `/v1/runs/:id/${action}`, async (context, { runs }, id) => {
      const record = await runs[action](ownerOf(context), id);
      // 202: it is asked for, and the step in flight is the last.
      const asked = (action === "cancel" || action === "pause") && record.state === "running";
      return context.json(viewOf(record), asked ? 202 : 200, NO_STORE);
    });
    routes.all(`/v1/runs/:id/${action}`, methodNotAllowed(["POST"]));
  }
  on("get", "/v1/runs/:id/result", async (context, { runs }, id) => {
    const { record, bytes } = await runs.result(ownerOf(context), id);
    return file(bytes, record.output?.media_type ?? "application/octet-stream");
  });
  on("get", "/v1/runs/:id/timeline", async (context, { runs }, id) => {
    return context.json(await timelineOf(runs, ownerOf(context), id), 200, NO_STORE);
  });
  on("get", "/v1/runs/:id/steps/:step/image", async (context, door, id) => {
    const [owner, step] = [ownerOf(context), Number(context.req.param("step"))];
    const { encoding: { format } } = await door.runs.get(owner, id);
    const { engine, encode, runs } = door;
    if (engine !== null) {
      return file(await pictureAt(runs, { engine, encode }, owner, id, step), `image/${format}`);
    }
    const known = await knownPicture(runs, owner, id, step);
    if (known !== null) return file(known, `image/${format}`);
    // A worker elsewhere makes it; asking again finds it.
    await askForPreview(runs.ledger.store, owner, id, step);
    return context.json({ object: "preview", run: id, step, status: "queued" }, 202, {
      ...NO_STORE,
      "retry-after": "1",
    });
  });
  routes.all("/v1/runs", methodNotAllowed(["GET", "POST"]));
  routes.all("/v1/runs/estimate", methodNotAllowed(["POST"]));
  for (const path of ["fork", "redraw"]) routes.all(`/v1/runs/:id/${path}`, methodNotAllowed(["POST"]));
  for (const path of ["", "/events", "/result", "/timeline", "/steps/:step/image"]) {
    routes.all(`/v1/runs/:id${path}`, methodNotAllowed(["GET", "HEAD"]));
  }
  return routes;
}

/** The run at its end, or as it is when the caller's patience ends. */
async function answer(
  context: Context<Environment>,
  { runs, closing }: RunsDoor,
  prefer: Preference,
  accepted: Accepted,
): Promise<Response> {
  const record = await settled(context, { runs, ...(closing === undefined ? {} : { closing }) }, prefer, accepted);
  const headers = {
    ...NO_STORE,
    location: `/v1/runs/${record.id}`,
    ...(accepted.attached ? { "idempotent-replayed": "true" } : {}),
  };
  return context.json(viewOf(record), isTerminal(record.state) ? 200 : 202, headers);
}

async function regionOf(request: RedrawRequest, { decode, imageSize }: RunsDoor, side: number): Promise<Uint32Array> {
  const factor = imageSize === null ? 16 : imageSize / side;
  const { boxes, mask } = request;
  if ((boxes === undefined) === (mask === undefined)) {
    throw new UnmaskError({
      code: "region_missing",
      message: "a redraw takes boxes or a mask, one of the two",
      fix: 'send boxes, such as {"boxes": [[0, 0, 128, 128]]}, or a mask in base64',
      param: "boxes",
    });
  }
  if (boxes !== undefined) return positionsOfBoxes(boxes, side, factor);
  try {
    return positionsOfMask(await decode(Uint8Array.fromBase64(mask ?? "")), side, factor);
  } catch (cause) {
    if (cause instanceof UnmaskError) throw cause;
    throw new UnmaskError({
      code: "mask_invalid",
      message: "the mask is no picture of the run's own size",
      fix: `send a picture of ${side * factor}x${side * factor} pixels in base64, light where it shall be redrawn`,
      param: "mask",
      cause,
    });
  }
}

/** @throws {UnmaskError} `limit_out_of_range` */
function limitOf(context: Context<Environment>): number {
  const limit = Number(context.req.query("limit") ?? 20);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 100) return limit;
  throw new UnmaskError({
    code: "limit_out_of_range",
    message: "limit is no whole number from 1 to 100",
    fix: "use 1 to 100",
    param: "limit",
  });
}

function file(bytes: Uint8Array, type: string): Response {
  return new Response(new Uint8Array(bytes), {
    headers: { "content-type": type, "cache-control": "private, no-cache" },
  });
}
