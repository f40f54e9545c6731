/**
 * The one place that turns a failure into a protocol's shape. Whatever is not an `UnmaskError` is answered as
 * `internal_error` without its text: messages and stacks of libraries name paths of this machine.
 *
 * @module
 */
import type { Context, ErrorHandler, MiddlewareHandler, NotFoundHandler } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import { type Environment, requestIdOf } from "./request_id.ts";

/** The body of every refusal on OpenAI's routes; `fix` and `request_id` are ours, clients of OpenAI ignore them. */
export interface OpenAIErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: "invalid_request_error" | "server_error";
    readonly param: string | null;
    readonly code: string;
    readonly fix: string;
    readonly request_id: string;
  };
}

/** Any thrown value as an `UnmaskError`; unknown failures become `internal_error` (500) and keep their cause. */
export function asUnmaskError(thrown: unknown): UnmaskError {
  if (thrown instanceof UnmaskError) return thrown;
  return new UnmaskError({
    code: "internal_error",
    message: "the server failed while answering this request",
    fix: "look for the request id in the server's log, and report it with what you sent",
    status: 500,
    cause: thrown,
  });
}

/**
 * The fields of OpenAI's error object.
 *
 * ```ts
 * toOpenAIError(new UnmaskError({ code: "prompt_empty", message: "…", fix: "…", param: "prompt" }), "req_1");
 * ```
 */
export function toOpenAIError(error: UnmaskError, requestId: string): OpenAIErrorBody {
  return {
    error: {
      message: error.message,
      type: error.status < 500 ? "invalid_request_error" : "server_error",
      param: error.param ?? null,
      code: error.code,
      fix: error.fix,
      request_id: requestId,
    },
  };
}

/** Answers `thrown` in OpenAI's shape; 429 and 503 carry `Retry-After`. */
export function answerError(context: Context<Environment>, thrown: unknown): Response {
  const signal = context.req.raw.signal;
  // The client has gone: nobody reads this answer, and nothing went wrong.
  if (signal.aborted && thrown === signal.reason) return new Response(null, { status: 499 });
  const error = asUnmaskError(thrown);
  context.set("errorCode", error.code);
  const requestId = requestIdOf(context);
  if (error.status >= 500 && error.status !== 503) {
    console.error(JSON.stringify({ level: "error", request_id: requestId, code: error.code, cause: causeOf(error) }));
  }
  const headers: Record<string, string> = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "x-request-id": requestId,
  };
  const retryAfter = error.retryAfter ?? (error.status === 503 ? 1 : undefined);
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  if (error.status === 401) headers["www-authenticate"] = "Bearer";
  return new Response(JSON.stringify(toOpenAIError(error, requestId)), { status: error.status, headers });
}

export const onError: ErrorHandler<Environment> = (thrown, context) => answerError(context, thrown);

export const onNotFound: NotFoundHandler<Environment> = (context) =>
  answerError(
    context,
    new UnmaskError({
      code: "unknown_route",
      message: "there is nothing at this path",
      fix: "look at /openapi.json, which lists every path",
      status: 404,
    }),
  );

/** Mounted with `app.all` behind a path's real handlers: what reaches it came with another method. */
export function methodNotAllowed(allowed: readonly string[]): MiddlewareHandler<Environment> {
  return (context) => {
    const response = answerError(
      context,
      new UnmaskError({
        code: "method_not_allowed",
        message: `this path does not answer ${context.req.method.slice(0, 16)}`,
        fix: `use ${allowed.join(" or ")}`,
        status: 405,
      }),
    );
    response.headers.set("allow", allowed.join(", "));
    return Promise.resolve(response);
  };
}

/** The log's view of a failure: the log may hold what an answer may not. */
function causeOf(error: UnmaskError): string {
  const cause = error.cause ?? error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
