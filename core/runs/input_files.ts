/**
 * Pictures of an input: files of the run beside its record, which names them. Their headers are read before anything is
 * kept, and nothing here unpacks them; the engine does.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { readBoundedHeader } from "../image/header.ts";
import type { Picture } from "../model/types.ts";
import { readBlob } from "./store/blobs.ts";
import type { Store } from "./store/types.ts";

/** Pixels of one picture of an input; what a task makes of it is far less. */
export const MOST_PIXELS = 4096 * 4096;
/** Pictures of one input. */
export const MOST_FILES = 16;

export type InputJson = Record<string, z.core.util.JSONType>;

/** Where a picture was, its file's name under the run. */
const referenceSchema = z.strictObject({
  file: z.string(),
  media_type: z.string(),
  bytes: z.int(),
  width: z.int(),
  height: z.int(),
});
export type FileReference = z.infer<typeof referenceSchema>;

export interface InputFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/**
 * An input with each picture in place of its file, by reference.
 *
 * @param fields names of fields, at any depth, that hold pictures: bytes, or text in base64 or as a data URL
 * @throws {UnmaskError} `image_invalid`, `too_many_images`, what `readBoundedHeader` throws
 */
export function takeFiles(
  input: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): { readonly input: InputJson; readonly files: readonly InputFile[] } {
  const files: InputFile[] = [];
  const take = (bytes: Uint8Array): FileReference => {
    const { format, width, height } = readBoundedHeader(bytes, MOST_PIXELS);
    // By content, so that a fork's own pictures and its parent's never share a name.
    const name = `input-${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}`;
    const file = { name, type: `image/${format}`, bytes };
    if (!files.some((known) => known.name === name)) files.push(file);
    if (files.length > MOST_FILES) throw tooMany();
    return { file: file.name, media_type: file.type, bytes: bytes.length, width, height };
  };
  const walk = (value: unknown, picture: boolean): unknown => {
    if (value instanceof Uint8Array) return take(value);
    if (picture && typeof value === "string") return take(bytesOf(value));
    if (Array.isArray(value)) return value.map((item) => walk(item, picture));
    // A reference of an earlier run's record stays one: a fork takes its parent's files along.
    if (typeof value !== "object" || value === null || isReference(value)) return value;
    return mapped(value, (item, name) => walk(item, fields.includes(name)));
  };
  return { input: walk(input, false) as InputJson, files };
}

/** The references of an input, at any depth. */
export function referencesOf(input: unknown): FileReference[] {
  if (isReference(input)) return [input];
  if (typeof input !== "object" || input === null) return [];
  return Object.values(input).flatMap(referencesOf);
}

/** An input with something in place of each reference. */
export async function fillFiles(
  input: InputJson,
  fill: (reference: FileReference) => unknown,
): Promise<Record<string, unknown>> {
  const walk = async (value: unknown): Promise<unknown> => {
    if (isReference(value)) return await fill(value);
    if (Array.isArray(value)) return await Promise.all(value.map(walk));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(async ([name, item]) => [name, await walk(item)] as const);
    return Object.fromEntries(await Promise.all(entries));
  };
  return await walk(input) as Record<string, unknown>;
}

/** An input with its files' bytes, as an engine takes it. @throws {UnmaskError} `input_missing` (410) */
export async function readFiles(
  store: Store,
  owner: string,
  run: string,
  input: InputJson,
): Promise<Record<string, unknown>> {
  return await fillFiles(input, async ({ file }) => {
    const blob = await readBlob(store, { owner, run, name: file });
    if (blob !== null) return blob.bytes;
    throw new UnmaskError({
      code: "input_missing",
      message: "a picture of this run's input is gone",
      fix: "send the request again",
      status: 410,
    });
  });
}

/** Stands for a picture where a schema only looks whether there is one. */
export const STAND_IN: Picture = { width: 1, height: 1, data: new Uint8Array(3) };

function isReference(value: unknown): value is FileReference {
  return referenceSchema.safeParse(value).success;
}

function mapped(value: object, change: (item: unknown, name: string) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, change(item, name)]));
}

function bytesOf(text: string): Uint8Array {
  const base64 = /^data:[\w./+-]*;base64,(.*)$/s.exec(text)?.[1] ?? text;
  try {
    return Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw new UnmaskError({
      code: "image_invalid",
      message: "a picture is neither base64 nor a data URL of base64",
      fix: "send the file's bytes in base64, such as data:image/png;base64,…",
      param: "image",
      cause,
    });
  }
}

function tooMany(): UnmaskError {
  return new UnmaskError({
    code: "too_many_images",
    message: `there are more than ${MOST_FILES} pictures`,
    fix: `send at most ${MOST_FILES}`,
    param: "image",
    status: 413,
  });
}
