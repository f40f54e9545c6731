/**
 * Values as bytes of our own: the size is known exactly before a store sees it, it is the same for every client, and
 * the expiry lies beside the value, where reads see it (a store's own expiry is no more than a lower bound: field-notes
 * row 14).
 *
 * A byte 1 (format), a float64 (expiry in Unix ms, 0: none), a uint32 (bytes of JSON), JSON `[value, [[path, length],
 * ...]]`, then the byte arrays that stood at those paths, one after another. Numbers are little-endian.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";

const FORMAT = 1;
const HEADER = 13;
/** Deep enough for any record, and a bound for what is nested without end. */
const DEPTH = 100;

type Path = (string | number)[];

/** What a stored value says. */
export interface Decoded {
  readonly value: unknown;
  readonly expires_at: number | null;
}

/**
 * @param expires_at Unix time in milliseconds; null: never
 * @throws `value_not_storable` for what is neither JSON nor bytes
 */
export function encode(value: unknown, expires_at: number | null): Uint8Array<ArrayBuffer> {
  const parts: [Path, Uint8Array][] = [];
  const plain = take(value, [], parts);
  const text = new TextEncoder().encode(JSON.stringify([plain, parts.map(([path, bytes]) => [path, bytes.length])]));
  const out = new Uint8Array(parts.reduce((sum, [, bytes]) => sum + bytes.length, HEADER + text.length));
  const view = new DataView(out.buffer);
  out[0] = FORMAT;
  view.setFloat64(1, expires_at ?? 0, true);
  view.setUint32(9, text.length, true);
  out.set(text, HEADER);
  let at = HEADER + text.length;
  for (const [, bytes] of parts) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** @throws `store_corrupt` for bytes that {@linkcode encode} did not write */
export function decode(stored: unknown): Decoded {
  if (!(stored instanceof Uint8Array) || stored.length < HEADER || stored[0] !== FORMAT) throw corrupt();
  // A client may give a Node Buffer, whose slices are no copies.
  const all = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  const expires_at = view.getFloat64(1, true);
  let at = HEADER + view.getUint32(9, true);
  if (at > all.length) throw corrupt();
  try {
    const [plain, parts] = JSON.parse(new TextDecoder().decode(all.subarray(HEADER, at))) as [
      unknown,
      [Path, number][],
    ];
    let value = plain;
    for (const [path, length] of parts) {
      // A copy: it begins at offset 0, so that a Uint16Array or Uint32Array may be laid over it.
      const bytes = all.slice(at, at + length);
      if (bytes.length !== length) throw corrupt();
      at += length;
      value = put(value, path, bytes);
    }
    return { value, expires_at: expires_at === 0 ? null : expires_at };
  } catch (cause) {
    throw corrupt(cause);
  }
}

/** `value` with nulls in place of its byte arrays, which are moved to `parts`. */
function take(value: unknown, path: Path, parts: [Path, Uint8Array][]): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (path.length > DEPTH) throw notStorable("nested too deep", path);
  if (value instanceof Uint8Array) {
    parts.push([path, value]);
    return null;
  }
  if (Array.isArray(value)) return value.map((item: unknown, i) => take(item, [...path, i], parts));
  if (typeof value !== "object") throw notStorable(typeof value === "number" ? String(value) : typeof value, path);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw notStorable(value.constructor.name, path);
  const out: [string, unknown][] = [];
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined) out.push([name, take(item, [...path, name], parts)]);
  }
  return Object.fromEntries(out);
}

function put(value: unknown, path: Path, bytes: Uint8Array): unknown {
  const last = path.at(-1);
  if (last === undefined) return bytes;
  let at = value as Record<string | number, unknown>;
  for (const part of path.slice(0, -1)) at = at[part] as Record<string | number, unknown>;
  // Not an assignment: "__proto__" is a name like any other here.
  Object.defineProperty(at, last, { value: bytes, writable: true, enumerable: true, configurable: true });
  return value;
}

function notStorable(what: string, path: Path): UnmaskError {
  return new UnmaskError({
    code: "value_not_storable",
    message: `${path.length === 0 ? "the value" : path.join(".")} is ${what}, which a store does not keep`,
    fix: "use JSON values and Uint8Array",
    status: 500,
  });
}

function corrupt(cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "store_corrupt",
    message: "the store holds a value that this program did not write",
    fix: "give unmask a store of its own, or go back to the version that wrote it",
    status: 500,
    cause,
  });
}
