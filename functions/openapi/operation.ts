/**
 * One operation of the API as data: what it takes and what it answers, in the very schemas that the handlers parse with.
 *
 * @module
 */
import { z } from "zod";

export type Tag = "runs" | "openai" | "cog" | "replicate" | "runpod" | "server";

/** A body by media type; a schema has a name among the document's components. */
export interface Content {
  readonly type:
    | "application/json"
    | "multipart/form-data"
    | "text/event-stream"
    | "image/*"
    | "text/plain"
    | "text/html";
  /** Absent: bytes or text of that type. */
  readonly schema?: z.ZodType;
}

export interface Operation {
  readonly method: "get" | "post" | "put" | "delete";
  /** `{name}` for parameters. */
  readonly path: string;
  readonly tag: Tag;
  readonly summary: string;
  /** Of the query; all are optional. */
  readonly query?: Readonly<Record<string, z.ZodType>>;
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  readonly body?: Content;
  /** By status: what is answered when all is well. */
  readonly answers: Readonly<Record<number, readonly Content[]>>;
  /** Needs no key. */
  readonly open?: true;
}

export const json = (schema: z.ZodType): Content => ({ type: "application/json", schema });

/** OpenAI's error object, with `fix` and `request_id`: what every refusal is. */
export const errorSchema = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.enum(["invalid_request_error", "server_error"]),
    param: z.string().nullable(),
    code: z.string(),
    fix: z.string(),
    request_id: z.string(),
  }),
});

/** `Prefer` as all doors read it. */
export const PREFER = { prefer: z.string().describe("respond-async, wait=SECONDS, keep-running") } as const;
export const IDEMPOTENCY = { "idempotency-key": z.string().min(1).max(255) } as const;
