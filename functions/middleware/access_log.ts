/**
 * One line of JSON for each request, and its numbers: which request, which run, which route, how it ended. Paths are
 * logged as patterns, so that neither signed links nor ids of others get into a log.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Metrics } from "../observe/metrics.ts";
import type { Environment } from "./request_id.ts";

export type Log = (line: Readonly<Record<string, unknown>>) => void;

export interface AccessLogOptions {
  readonly log?: Log;
  readonly metrics?: Metrics;
}

export function accessLog({ log, metrics }: AccessLogOptions): MiddlewareHandler<Environment> {
  return async (context, next) => {
    const start = performance.now();
    await next();
    const milliseconds = performance.now() - start;
    const { method } = context.req;
    const { status } = context.res;
    // What no route matched would be as many labels as there are guesses.
    const route = context.get("errorCode") === "unknown_route" ? "unknown" : routePath(context);
    metrics?.request(method, route, status, milliseconds / 1000);
    const code = context.get("errorCode");
    if (code !== undefined) metrics?.reject(code);
    const run = context.get("run");
    log?.({
      time: new Date().toISOString(),
      level: status >= 500 ? "error" : "info",
      event: "request",
      request_id: context.get("requestId"),
      method,
      route,
      status,
      ms: Number(milliseconds.toFixed(1)),
      ...(code === undefined ? {} : { code }),
      ...(run === undefined ? {} : { run }),
    });
  };
}
