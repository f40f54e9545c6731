/**
 * The header `Idempotency-Key`: the same key and body attach to the run that is there.
 *
 * @module
 */
import type { Context } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import type { Environment } from "./request_id.ts";

/** @throws {UnmaskError} `idempotency_key_invalid` */
export function idempotencyKeyOf(context: Context<Environment>): string | undefined {
  const key = context.req.header("idempotency-key");
  if (key === undefined || (/^[\x20-\x7e]+$/.test(key) && key.length <= 255)) return key;
  throw new UnmaskError({
    code: "idempotency_key_invalid",
    message: "the header Idempotency-Key is empty, too long, or holds more than plain text",
    fix: "use 1 to 255 printable characters, such as a UUID",
  });
}
