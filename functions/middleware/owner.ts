/**
 * Whose a request is: what one owner made, no other can see. access.ts finds out; this is how doors ask.
 *
 * @module
 */
import type { Context } from "hono";
import type { Environment } from "./request_id.ts";

/** Everybody without a name. */
export const NOBODY = "anyone";

/** The owner's name in the store: never the key itself. */
export function ownerOf(context: Context<Environment>): string {
  const caller = context.get("caller");
  // A door on a path that access.ts leaves open to everybody: nobody's data may come of it.
  if (caller === undefined) throw new Error(`${context.req.path} has no caller`);
  return caller.owner;
}
