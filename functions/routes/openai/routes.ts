/**
 * The paths of OpenAI's API.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { methodNotAllowed } from "../../middleware/errors.ts";
import type { Limits } from "../../middleware/limits.ts";
import type { Environment } from "../../middleware/request_id.ts";
import { completeChat } from "./chat.ts";
import type { OpenAIDoor, OpenAIRoute } from "./door.ts";
import { editImages } from "./edits.ts";
import { generateImages } from "./images.ts";
import type { Readiness } from "../readiness.ts";
import { listModels, showModel } from "./models.ts";

type Handler = (context: Context<Environment>, route: OpenAIRoute) => Promise<Response>;

const ROUTES: readonly (readonly [method: "GET" | "POST", path: string, handler: Handler])[] = [
  ["POST", "/v1/images/generations", generateImages],
  ["POST", "/v1/images/edits", editImages],
  ["POST", "/v1/chat/completions", completeChat],
  ["GET", "/v1/models", listModels],
  ["GET", "/v1/models/:id", showModel],
];

export function openaiRoutes(
  opening: Promise<OpenAIDoor>,
  readiness: Readiness,
  limits: Limits,
): Hono<Environment> {
  const route = { opening, readiness, limits };
  const routes = new Hono<Environment>();
  for (const [method, path, handler] of ROUTES) {
    routes.on(method, path, (context) => handler(context, route));
    routes.all(path, methodNotAllowed(method === "GET" ? ["GET", "HEAD"] : [method]));
  }
  return routes;
}
