/**
 * The API's description: `/openapi.json`, and `/docs`, a page that shows it. Three files as they are, no build.
 *
 * @module
 */
import { Hono } from "hono";
import { methodNotAllowed } from "../middleware/errors.ts";
import type { Environment } from "../middleware/request_id.ts";
import { openApiDocument } from "../openapi/document.ts";
import { pageHeaders } from "./playground.ts";

/** Of the API, not of the program. */
const VERSION = "1";

const FILES = {
  "/docs": { name: "index.html", type: "text/html; charset=utf-8" },
  "/docs/style.css": { name: "style.css", type: "text/css; charset=utf-8" },
  "/docs/page.js": { name: "page.js", type: "text/javascript; charset=utf-8" },
} as const;

export function referenceRoutes(): Hono<Environment> {
  const routes = new Hono<Environment>();
  let document: ReturnType<typeof openApiDocument> | undefined;
  // Made when it is first asked for: a cold start does not wait for it.
  routes.get("/openapi.json", (context) => context.json(document ??= openApiDocument(VERSION), 200));
  routes.all("/openapi.json", methodNotAllowed(["GET", "HEAD"]));
  for (const [path, file] of Object.entries(FILES)) {
    routes.get(path, pageHeaders, async (context) => {
      const text = await Deno.readTextFile(new URL(`../reference/${file.name}`, import.meta.url));
      return context.body(text, 200, { "content-type": file.type, "cache-control": "no-cache" });
    });
    routes.all(path, methodNotAllowed(["GET", "HEAD"]));
  }
  return routes;
}
