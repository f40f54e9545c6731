/**
 * Pictures that a client brings before it names them in an input. Each belongs to the key that brought it, lives for a
 * day, and becomes a file of the run that takes it: what happens to it later does not touch that run.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { readBoundedHeader } from "../image/header.ts";
import { MOST_PIXELS } from "./input_files.ts";
import { keys, newUploadId } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { putBlob, readBlob } from "./store/blobs.ts";
import { deleteBlobsOf } from "./store/sweep.ts";
import { listAll } from "./store/types.ts";

/** Ms. */
export const UPLOAD_LIFE = 86_400_000;
/** Of one owner at once. */
export const MOST_UPLOADS = 64;

const uploadSchema = z.object({
  id: z.string(),
  name: z.string(),
  /** Of its bytes, whatever its sender called it. */
  content_type: z.string(),
  size: z.int(),
  sha256: z.string(),
  /** The sender's own. */
  metadata: z.record(z.string(), z.json()),
  created_at: z.number(),
  expires_at: z.number(),
});
export type Upload = z.infer<typeof uploadSchema>;

/** Name of the blob. */
const CONTENT = "content";

/** @throws {UnmaskError} `too_many_files` (429), what `readBoundedHeader` throws */
export async function putUpload(
  ledger: Ledger,
  owner: string,
  bytes: Uint8Array,
  { name, metadata }: Pick<Upload, "name" | "metadata">,
): Promise<Upload> {
  const { format } = readBoundedHeader(bytes, MOST_PIXELS);
  if ((await listUploads(ledger, owner)).length >= MOST_UPLOADS) {
    throw new UnmaskError({
      code: "too_many_files",
      message: `${MOST_UPLOADS} files of this key are kept, and that is the most`,
      fix: "delete some, or send pictures in the input, in base64",
      status: 429,
      retryAfter: 60,
    });
  }
  const created_at = ledger.now();
  const id = newUploadId(created_at);
  const content_type = `image/${format}`;
  const { sha256, size } = await putBlob(ledger.store, { owner, run: id, name: CONTENT }, bytes, content_type);
  const expires_at = created_at + UPLOAD_LIFE;
  const upload = { id, name, content_type, size, sha256, metadata, created_at, expires_at };
  await ledger.store.commit({ sets: [{ key: keys.upload(owner, id), value: upload }] });
  return upload;
}

/** Oldest first. */
export async function listUploads(ledger: Ledger, owner: string): Promise<Upload[]> {
  const found: Upload[] = [];
  for await (const { value } of listAll(ledger.store, { prefix: keys.uploadsOf(owner) })) {
    const upload = uploadSchema.parse(value);
    if (upload.expires_at > ledger.now()) found.push(upload);
  }
  return found;
}

/** @throws {UnmaskError} `file_not_found` (404), also for another owner's */
export async function getUpload(ledger: Ledger, owner: string, id: string): Promise<Upload> {
  const entry = await ledger.store.get(keys.upload(owner, id));
  const upload = entry === null ? null : uploadSchema.parse(entry.value);
  if (upload === null || upload.expires_at <= ledger.now()) throw notFound();
  return upload;
}

/** @throws {UnmaskError} `file_not_found` (404) */
export async function readUpload(ledger: Ledger, owner: string, id: string): Promise<Uint8Array> {
  await getUpload(ledger, owner, id);
  const blob = await readBlob(ledger.store, { owner, run: id, name: CONTENT });
  if (blob === null) throw notFound();
  return blob.bytes;
}

/** @throws {UnmaskError} `file_not_found` (404) */
export async function deleteUpload(ledger: Ledger, owner: string, id: string): Promise<void> {
  await getUpload(ledger, owner, id);
  await remove(ledger, owner, id);
}

/** Whatever has expired, of all owners. @returns how many */
export async function sweepUploads(ledger: Ledger): Promise<number> {
  let removed = 0;
  for await (const { key, value } of listAll(ledger.store, { prefix: keys.allUploads })) {
    if (uploadSchema.parse(value).expires_at > ledger.now()) continue;
    await remove(ledger, String(key[1]), String(key[2]));
    removed++;
  }
  return removed;
}

/** The record goes last: what is cut short is taken up by the next sweep. */
async function remove(ledger: Ledger, owner: string, id: string): Promise<void> {
  await deleteBlobsOf(ledger.store, owner, id);
  await ledger.store.commit({ deletes: [keys.upload(owner, id)] });
}

function notFound(): UnmaskError {
  return new UnmaskError({
    code: "file_not_found",
    message: "there is no file of this id",
    fix: "send it again: files are kept for a day",
    param: "id",
    status: 404,
  });
}
