/**
 * Who asks, and what they may ask for. With keys, every path but a few needs one; without, only this machine is
 * answered (local.ts), and a token is a name for what it makes, not a proof.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import { type ApiKey, type ApiKeys, KEY_PREFIX, type Scope, SCOPES } from "../../core/runs/api_keys.ts";
import { NOBODY } from "./owner.ts";
import type { Environment } from "./request_id.ts";

/** Who stands behind a request. */
export interface Caller {
  /** The owner's name in the store: never the key itself. */
  readonly owner: string;
  readonly scopes: readonly Scope[];
  /** The key's own limits; null: no key. */
  readonly key: ApiKey | null;
}

export interface AccessOptions {
  /** `keys`: every request needs one. `open`: none does. */
  readonly policy: "open" | "keys";
  /** May still be opening; absent: no token is a key. */
  readonly keys?: Promise<ApiKeys>;
}

/** Paths that prove themselves (a signature), or that say nothing about anybody. */
const PUBLIC = [
  /^\/$/,
  /^\/playground\//,
  /^\/favicon\.svg$/,
  /^\/health(-check)?$/,
  /^\/openapi\.json$/,
  /^\/docs(\/|$)/,
  /^\/v1\/files\//,
  /^\/v1\/hooks\//,
];

const ADMIN = [/^\/metrics$/, /^\/v1\/keys(\/|$)/];

export function isPublic(path: string): boolean {
  return PUBLIC.some((pattern) => pattern.test(path));
}

/** What a request needs; null: nothing. */
export function scopeFor(method: string, path: string): Scope | null {
  if (isPublic(path)) return null;
  if (ADMIN.some((pattern) => pattern.test(path))) return "admin";
  return ["GET", "HEAD", "OPTIONS"].includes(method) ? "read" : "infer";
}

/** Characters of a path: its parts become parts of keys in the store. */
const LONGEST_PATH = 1024;

/** @throws `path_too_long` (414), `api_key_missing` (401), `api_key_invalid` (401), `scope_missing` (403) */
export function access({ policy, keys }: AccessOptions): MiddlewareHandler<Environment> {
  return async (context, next) => {
    if (context.req.path.length > LONGEST_PATH) throw pathTooLong();
    const scope = scopeFor(context.req.method, context.req.path);
    if (scope !== null) {
      const caller = await callerOf(tokenOf(context.req.header("authorization")), policy, keys);
      if (!caller.scopes.includes(scope)) throw scopeMissing(scope);
      context.set("caller", caller);
    }
    await next();
  };
}

/** `Bearer`, and `Token` as older clients of Replicate's send it. A header that says anything else is no key. */
function tokenOf(header: string | undefined): string | null {
  if (header === undefined) return null;
  const token = /^(?:bearer|token)\s+([\x21-\x7e]{1,512})$/i.exec(header.trim())?.[1];
  if (token === undefined) throw keyInvalid();
  return token;
}

async function callerOf(
  token: string | null,
  policy: AccessOptions["policy"],
  opening: Promise<ApiKeys> | undefined,
): Promise<Caller> {
  const looksLikeKey = token?.startsWith(KEY_PREFIX) ?? false;
  if (token !== null && (policy === "keys" || looksLikeKey)) {
    const key = await (await opening)?.find(token) ?? null;
    if (key === null) throw keyInvalid();
    return { owner: key.owner, scopes: key.scopes, key };
  }
  if (policy === "keys") {
    throw new UnmaskError({
      code: "api_key_missing",
      message: "this server answers those who have an API key",
      fix: "send the header `Authorization: Bearer umk_…`; `deno task keys create` makes a key",
      status: 401,
    });
  }
  const owner = token === null ? NOBODY : createHash("sha256").update(token).digest("hex").slice(0, 32);
  return { owner, scopes: SCOPES, key: null };
}

function pathTooLong(): UnmaskError {
  return new UnmaskError({
    code: "path_too_long",
    message: `the path has more than ${LONGEST_PATH} characters`,
    fix: "use an id as this server gave it",
    status: 414,
  });
}

function keyInvalid(): UnmaskError {
  return new UnmaskError({
    code: "api_key_invalid",
    message: "this is no API key of this server, or one that was removed",
    fix: "send the header `Authorization: Bearer umk_…` with a key as it was shown when it was made",
    status: 401,
  });
}

function scopeMissing(scope: Scope): UnmaskError {
  return new UnmaskError({
    code: "scope_missing",
    message: `this key may not do that: it lacks the scope ${scope}`,
    fix: `make a key with it: deno task keys create --scopes ${scope}`,
    status: 403,
  });
}
