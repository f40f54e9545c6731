/**
 * Replicate's files: its client sends every file of an input here first, and then names its address in the input.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import { deleteUpload, getUpload, listUploads, putUpload, readUpload, type Upload } from "../../core/runs/uploads.ts";
import type { Limits } from "../middleware/limits.ts";
import { type Form, readForm } from "../middleware/multipart.ts";
import { ownerOf } from "../middleware/owner.ts";
import type { Environment } from "../middleware/request_id.ts";
import { NO_STORE, originOf, type ProtocolDoor } from "./protocol_door.ts";
import { BASE } from "./replicate_base.ts";

/** Bytes of a file's metadata, as JSON. */
const MOST_METADATA = 4096;
const metadataSchema = z.record(z.string(), z.json());

/** For the document; the form is read by its own code. */
export const fileForm = z.object({
  content: z.string().describe("The picture, as a file"),
  metadata: z.string().optional().describe("A JSON object"),
});

export const replicateFileSchema = z.object({
  id: z.string(),
  name: z.string(),
  content_type: z.string(),
  size: z.int(),
  etag: z.string(),
  checksums: z.object({ sha256: z.string() }),
  metadata: metadataSchema,
  created_at: z.string(),
  expires_at: z.string(),
  urls: z.object({ get: z.string() }),
});
export type ReplicateFile = z.infer<typeof replicateFileSchema>;

export async function createFile(
  context: Context<Environment>,
  door: ProtocolDoor,
  limits: Limits,
): Promise<Response> {
  const form = await readForm(context.req.raw, limits);
  const [content, ...more] = form.files.get("content") ?? [];
  if (content === undefined || more.length > 0) {
    throw new UnmaskError({
      code: "missing_required_parameter",
      message: "the form has no file `content`, or several",
      fix: "send one file under the name content",
      param: "content",
    });
  }
  const about = { name: (form.names.get("content") ?? "file").slice(0, 200), metadata: metadataOf(form) };
  const upload = await putUpload(door.runs.ledger, ownerOf(context), content, about);
  return context.json(fileOf(context, door, upload), 201, NO_STORE);
}

export async function listFiles(context: Context<Environment>, door: ProtocolDoor): Promise<Response> {
  const uploads = await listUploads(door.runs.ledger, ownerOf(context));
  const results = uploads.toReversed().map((upload) => fileOf(context, door, upload));
  return context.json({ next: null, previous: null, results }, 200, NO_STORE);
}

export async function showFile(context: Context<Environment>, door: ProtocolDoor): Promise<Response> {
  const upload = await getUpload(door.runs.ledger, ownerOf(context), context.req.param("id") ?? "");
  return context.json(fileOf(context, door, upload), 200, NO_STORE);
}

export async function removeFile(context: Context<Environment>, door: ProtocolDoor): Promise<Response> {
  await deleteUpload(door.runs.ledger, ownerOf(context), context.req.param("id") ?? "");
  return context.body(null, 204, NO_STORE);
}

/**
 * An input with the bytes of this server's files in place of their addresses. Any other address stays what it was: text.
 *
 * @throws {UnmaskError} `file_not_found` (404)
 */
export async function withFiles(
  context: Context<Environment>,
  door: ProtocolDoor,
  input: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const prefix = `${originOf(context, door)}${BASE}/files/`;
  const fill = async (value: unknown): Promise<unknown> => {
    if (typeof value === "string" && value.startsWith(prefix)) {
      return await readUpload(door.runs.ledger, ownerOf(context), value.slice(prefix.length));
    }
    if (Array.isArray(value)) return await Promise.all(value.map(fill));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(async ([name, item]) => [name, await fill(item)] as const);
    return Object.fromEntries(await Promise.all(entries));
  };
  return await fill(input) as Readonly<Record<string, unknown>>;
}

function fileOf(context: Context<Environment>, door: ProtocolDoor, upload: Upload): ReplicateFile {
  const { sha256, created_at, expires_at, ...rest } = upload;
  return {
    ...rest,
    etag: sha256,
    checksums: { sha256 },
    created_at: new Date(created_at).toISOString(),
    expires_at: new Date(expires_at).toISOString(),
    urls: { get: `${originOf(context, door)}${BASE}/files/${upload.id}` },
  };
}

/** @throws {UnmaskError} `metadata_invalid` */
function metadataOf({ fields, files }: Form): z.infer<typeof metadataSchema> {
  const [bytes] = files.get("metadata") ?? [];
  const text = bytes === undefined ? fields.get("metadata") ?? "{}" : new TextDecoder().decode(bytes);
  try {
    if (text.length > MOST_METADATA) throw new RangeError("too long");
    return metadataSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UnmaskError({
      code: "metadata_invalid",
      message: "the metadata is no JSON object, or a large one",
      fix: `send an object of at most ${MOST_METADATA} bytes, or leave it out`,
      param: "metadata",
      cause,
    });
  }
}
