/**
 * `GET /metrics`, for Prometheus and for those with the scope admin.
 *
 * @module
 */
import { Hono } from "hono";
import { methodNotAllowed } from "../middleware/errors.ts";
import type { Environment } from "../middleware/request_id.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { ProtocolDoor } from "./protocol_door.ts";

export function metricsRoutes(metrics: Metrics, opening: Promise<ProtocolDoor> | undefined): Hono<Environment> {
  const routes = new Hono<Environment>();
  let door: ProtocolDoor | undefined;
  // Numbers are there before the store is: a scrape never waits for a model.
  opening?.then((opened) => door = opened, () => {});
  routes.get("/metrics", async (context) => {
    const { type, body } = await metrics.text(door?.runs.ledger.store ?? null);
    return context.body(body, 200, { "content-type": type, "cache-control": "no-store" });
  });
  routes.all("/metrics", methodNotAllowed(["GET", "HEAD"]));
  return routes;
}
