/**
 * The page at `/`: three files as they are, no build. The policy lets the page talk to this server and to nobody else.
 *
 * @module
 */
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { methodNotAllowed } from "../middleware/errors.ts";
import type { Environment } from "../middleware/request_id.ts";

const FILES = {
  "/": { name: "index.html", type: "text/html; charset=utf-8" },
  "/playground/style.css": { name: "style.css", type: "text/css; charset=utf-8" },
  "/playground/page.js": { name: "page.js", type: "text/javascript; charset=utf-8" },
  "/favicon.svg": { name: "favicon.svg", type: "image/svg+xml" },
} as const;

/** What our own pages may do, and no others. */
export const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    // Pictures arrive as base64 in JSON.
    imgSrc: ["'self'", "data:"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: "DENY",
  referrerPolicy: "no-referrer",
  // Served on loopback over http; a proxy that adds TLS adds this too.
  strictTransportSecurity: false,
  permissionsPolicy: { camera: [], microphone: [], geolocation: [] },
});

export function playground(): Hono<Environment> {
  const routes = new Hono<Environment>();
  for (const [path, file] of Object.entries(FILES)) {
    // Read at each request: small, and an edited page shows at once.
    routes.get(path, pageHeaders, async (context) => {
      const text = await Deno.readTextFile(new URL(`../playground/${file.name}`, import.meta.url));
      return context.body(text, 200, { "content-type": file.type, "cache-control": "no-cache", vary: "accept" });
    });
    routes.all(path, methodNotAllowed(["GET", "HEAD"]));
  }
  return routes;
}
