/**
 * Webhooks at the door: `POST /v1/hooks/{name}` starts the configured task, once for each `webhook-id`; a run's
 * delivery log, and a message of it sent again, for the key that made the run.
 *
 * @module
 */
import { Hono } from "hono";
import type { Runs } from "../../core/runs/service.ts";
import { createSchema, parseRequest } from "../../core/runs/run_request.ts";
import { deliveriesOf, replay } from "../../core/runs/webhooks/deliveries.ts";
import { type Hook, MOST_BODY, receive } from "../../core/runs/webhooks/inbound.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import { type Limits, readBody } from "../middleware/limits.ts";
import { ownerOf } from "../middleware/owner.ts";
import type { Environment } from "../middleware/request_id.ts";
import { viewOf } from "./runs_view.ts";

export interface HooksDoor {
  readonly runs: Runs;
  readonly hooks: readonly Hook[];
  /** A message is to be sent again: a dispatcher in this process need not poll for it. */
  readonly onReplay?: () => void;
}

const NO_STORE = { "cache-control": "no-store" };

export function hooksRoutes(opening: Promise<HooksDoor>, limits: Limits): Hono<Environment> {
  const routes = new Hono<Environment>();

  // No API key: the signature is what proves the sender.
  routes.post("/v1/hooks/:name", async (context) => {
    const { runs, hooks } = await opening;
    const bytes = await readBody(context.req.raw, { ...limits, bodyBytes: MOST_BODY });
    const body = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    const run = receive(hooks, context.req.param("name"), context.req.raw.headers, body);
    if (run === null) return context.json({ received: true, run: null }, 200, NO_STORE);
    const { owner, request, idempotencyKey } = run;
    const { record, attached } = await runs.create(owner, parseRequest(createSchema, request), idempotencyKey);
    const status = attached ? 200 : 202;
    return context.json({ received: true, run: viewOf(record) }, status, NO_STORE);
  });
  routes.all("/v1/hooks/:name", methodNotAllowed(["POST"]));

  routes.get("/v1/runs/:id/webhooks", async (context) => {
    const { runs } = await opening;
    const { id } = await runs.get(ownerOf(context), context.req.param("id"));
    const data = await deliveriesOf(runs.ledger.store, ownerOf(context), id);
    return context.json({ object: "list", data }, 200, NO_STORE);
  });
  routes.all("/v1/runs/:id/webhooks", methodNotAllowed(["GET", "HEAD"]));

  routes.post("/v1/runs/:id/webhooks/:message/replay", async (context) => {
    const { runs, onReplay } = await opening;
    const { id } = await runs.get(ownerOf(context), context.req.param("id"));
    await replay(runs.ledger.store, ownerOf(context), id, context.req.param("message"));
    onReplay?.();
    return context.json({ replayed: true }, 202, NO_STORE);
  });
  routes.all("/v1/runs/:id/webhooks/:message/replay", methodNotAllowed(["POST"]));
  return routes;
}
