/**
 * States that hold more than one sequence, as bytes: a head of JSON that its own schema reads again, then parts in an
 * order that the head's kind knows.
 *
 * @module
 */
import { z } from "zod";
import type { Picture } from "../../model/types.ts";
import { unreadableState } from "../../tasks/sequence.ts";

const VERSION = 1;

/** [u32 length of the head][head][u32 length of a part][part]…, little-endian. */
export function pack(head: unknown, parts: readonly Uint8Array[]): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify({ version: VERSION, head }));
  const all = [text, ...parts];
  const bytes = new Uint8Array(all.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of all) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

/** @throws {UnmaskError} `state_unreadable` */
export function unpack<Head>(
  bytes: Uint8Array,
  schema: z.ZodType<Head>,
): { readonly head: Head; readonly parts: readonly Uint8Array[] } {
  const all: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) throw unreadableState("it is cut off");
    const length = view.getUint32(at, true);
    // A copy: it begins at offset 0, whatever lies before it.
    const part = bytes.slice(at + 4, at + 4 + length);
    if (part.length !== length) throw unreadableState("it is cut off");
    all.push(part);
    at += 4 + length;
  }
  const [text = new Uint8Array(), ...parts] = all;
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
    return { head: z.object({ version: z.literal(VERSION), head: schema }).parse(json).head, parts };
  } catch (cause) {
    throw unreadableState("its head is broken or of another version", cause);
  }
}

/** A part that must be there. @throws {UnmaskError} `state_unreadable` */
export function partAt(parts: readonly Uint8Array[], index: number): Uint8Array {
  const part = parts[index];
  if (part === undefined) throw unreadableState("a part of it is missing");
  return part;
}

/** Stands in a state for a picture that lies beside the run. */
export const DETACHED: Picture = { width: 1, height: 1, data: new Uint8Array(3) };

export const sizeSchema = z.object({ width: z.int().min(1), height: z.int().min(1) });

export function sizeOf({ width, height }: Picture): z.infer<typeof sizeSchema> {
  return { width, height };
}

/** @throws {UnmaskError} `state_unreadable` */
export function pictureFrom({ width, height }: z.infer<typeof sizeSchema>, data: Uint8Array): Picture {
  if (data.length !== width * height * 3) throw unreadableState("a picture has another size");
  return { width, height, data };
}
