/**
 * Headers of every answer: no guessing of types, no framing, no referrer, and no script in anything but our own pages,
 * which bring a policy of their own.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import type { Environment } from "./request_id.ts";

const ALWAYS = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
} as const;

export const securityHeaders: MiddlewareHandler<Environment> = async (context, next) => {
  await next();
  for (const [name, value] of Object.entries(ALWAYS)) {
    if (!context.res.headers.has(name)) context.res.headers.set(name, value);
  }
};
