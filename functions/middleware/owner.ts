/**
 * Whose a request is: what one API key made, no other can see. A key is a name of its own until keys are checked; without
 * one, everybody shares what nobody owns.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Context } from "hono";

export const NOBODY = "anyone";

/** The owner's name in the store: never the key itself. */
export function ownerOf(context: Context): string {
  const key = /^bearer\s+(\S+)\s*$/i.exec(context.req.header("authorization") ?? "")?.[1];
  return key === undefined ? NOBODY : createHash("sha256").update(key).digest("hex").slice(0, 32);
}
