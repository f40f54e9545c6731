/**
 * An id for every request, in the answer's `x-request-id`, in every error and in the log. Always our own: an id taken
 * from the client could not be trusted in a log.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import type { Caller } from "./access.ts";

/** What our middleware stores on hono's context. */
export interface Environment {
  Variables: {
    requestId: string;
    /** Set by access.ts; absent on paths that are open to everybody. */
    caller?: Caller;
    /** For the log: the run that the request is about, and the code that it was refused with. */
    run?: string;
    errorCode?: string;
  };
}

export const requestId: MiddlewareHandler<Environment> = async (context, next) => {
  context.set("requestId", `req_${crypto.randomUUID().replaceAll("-", "")}`);
  await next();
  context.res.headers.set("x-request-id", context.get("requestId"));
};

export function requestIdOf(context: Context<Environment>): string {
  return context.get("requestId");
}
