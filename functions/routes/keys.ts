/**
 * API keys over HTTP, for those who have the scope admin: made, listed, removed. A key's text is in the answer that made
 * it and nowhere else.
 *
 * @module
 */
import { Hono } from "hono";
import type { ApiKey, ApiKeys } from "../../core/runs/api_keys.ts";
import { methodNotAllowed } from "../middleware/errors.ts";
import { type Limits, readJson } from "../middleware/limits.ts";
import type { Environment } from "../middleware/request_id.ts";

const NO_STORE = { "cache-control": "no-store" };

export function keysRoutes(opening: Promise<ApiKeys>, limits: Limits): Hono<Environment> {
  const routes = new Hono<Environment>();
  routes.post("/v1/keys", async (context) => {
    const { key, text } = await (await opening).create(await readJson(context.req.raw, limits));
    return context.json({ ...viewOf(key), key: text }, 201, NO_STORE);
  });
  routes.get("/v1/keys", async (context) => {
    const data = (await (await opening).list()).map(viewOf);
    return context.json({ object: "list", data }, 200, NO_STORE);
  });
  routes.all("/v1/keys", methodNotAllowed(["GET", "POST"]));
  routes.delete("/v1/keys/:id", async (context) => {
    const id = context.req.param("id");
    await (await opening).remove(id);
    return context.json({ id, object: "key", deleted: true }, 200, NO_STORE);
  });
  routes.all("/v1/keys/:id", methodNotAllowed(["DELETE"]));
  return routes;
}

function viewOf({ created_at, ...key }: ApiKey) {
  return { ...key, object: "key", created_at: new Date(created_at).toISOString() };
}
