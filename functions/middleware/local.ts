/**
 * A server without keys is open to this machine, and so to every page that this machine's browser shows: what such a
 * page could do, by a name that it lets lead here (DNS rebinding) or by a form that it posts (CSRF), is refused.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import { isPublic } from "./access.ts";
import type { Environment } from "./request_id.ts";

/** Headers that no form and no plain link can send: a page that adds one must ask first, and is not allowed. */
const CUSTOM = ["authorization", "x-unmask", "idempotency-key", "prefer", "webhook-signature"];

const READING = ["GET", "HEAD", "OPTIONS"];

export interface LocalOptions {
  /** Names beside this machine's own under which the server may be called, without a port. */
  readonly hosts?: readonly string[];
  /** Other pages' origins that may call, such as `https://app.example`. */
  readonly origins?: readonly string[];
}

/** @throws `host_not_allowed` (421), `origin_not_allowed` (403), `write_not_proven` (403) */
export function localOnly({ hosts = [], origins = [] }: LocalOptions = {}): MiddlewareHandler<Environment> {
  const others = new Set(hosts.map((host) => host.toLowerCase()));
  return async (context, next) => {
    const { method, path, url } = context.req;
    const { host, hostname } = new URL(url);
    const header = context.req.header("host")?.toLowerCase();
    if (!(isLoopbackName(hostname) || others.has(hostname)) || (header !== undefined && header !== host)) {
      throw hostNotAllowed();
    }
    const origin = context.req.header("origin");
    if (origin !== undefined && originHost(origin) !== host && !origins.includes(origin)) throw originNotAllowed();
    const reading = READING.includes(method);
    const site = context.req.header("sec-fetch-site");
    // A link from elsewhere may show the page, and no more.
    const foreign = origin === undefined && (site === "cross-site" || site === "same-site");
    if (foreign && !(reading && isPublic(path))) throw originNotAllowed();
    // Any other method is asked about first (a preflight), which is not answered.
    if (method === "POST" && !isPublic(path) && !provesItself(context.req.raw.headers)) throw writeNotProven();
    await next();
  };
}

export function isLoopbackName(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** `null`, as sandboxed pages say, has no host and so is foreign. */
function originHost(origin: string): string | null {
  try {
    const { protocol, host } = new URL(origin);
    return protocol === "http:" || protocol === "https:" ? host : null;
  } catch {
    return null;
  }
}

function provesItself(headers: Headers): boolean {
  const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  return type === "application/json" || CUSTOM.some((name) => headers.has(name));
}

function hostNotAllowed(): UnmaskError {
  return new UnmaskError({
    code: "host_not_allowed",
    message: "this server answers only to the names of its own machine",
    fix: "call it as http://localhost, or start it with --auth keys and give its callers keys",
    status: 421,
  });
}

function originNotAllowed(): UnmaskError {
  return new UnmaskError({
    code: "origin_not_allowed",
    message: "a page of another origin asks, and this server answers none",
    fix: "call it from a program, or from the server's own page",
    status: 403,
  });
}

function writeNotProven(): UnmaskError {
  return new UnmaskError({
    code: "write_not_proven",
    message: "a request that changes something must show that no form of a foreign page sent it",
    fix: "send the header `content-type: application/json`, or `x-unmask: 1` where there is no JSON",
    status: 403,
  });
}
