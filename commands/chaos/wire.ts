/**
 * As much of the KV Connect protocol as a witness between a worker and its store needs: which keys a commit writes, with
 * which values, and whether it landed (denokv's schema/datapath.proto).
 *
 * @module
 */

/** Fields of one protobuf message; varints as numbers, the rest as bytes. */
type Fields = readonly { readonly field: number; readonly value: number | Uint8Array }[];

export interface WireWrite {
  /** The key's parts that are strings; numbers are left out. */
  readonly key: readonly string[];
  /** Null: the key is deleted. */
  readonly value: Uint8Array | null;
}

/** What a commit asks for. */
export function parseCommit(body: Uint8Array): readonly WireWrite[] {
  return fields(body).filter(({ field }) => field === 2).map(({ value }) => {
    const mutation = fields(asBytes(value));
    const key = mutation.find(({ field }) => field === 1)?.value;
    const stored = mutation.find(({ field }) => field === 2)?.value;
    const type = mutation.find(({ field }) => field === 3)?.value;
    const data = stored === undefined ? undefined : fields(asBytes(stored)).find(({ field }) => field === 1)?.value;
    return { key: keyStrings(asBytes(key ?? new Uint8Array())), value: type === 1 ? asBytes(data) : null };
  });
}

/** Version of a commit that landed, as hexadecimal digits that sort by time; null: it did not. */
export function parseOutcome(body: Uint8Array): string | null {
  const outcome = fields(body);
  if (outcome.find(({ field }) => field === 1)?.value !== 1) return null;
  return asBytes(outcome.find(({ field }) => field === 2)?.value).toHex();
}

function asBytes(value: number | Uint8Array | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new RangeError("a field of the wire is not what the protocol says");
}

function fields(bytes: Uint8Array): Fields {
  const found: { field: number; value: number | Uint8Array }[] = [];
  let at = 0;
  const varint = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("a message of the wire is cut off");
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, type] = [Math.floor(tag / 8), tag % 8];
    if (type === 0) {
      found.push({ field, value: varint() });
      continue;
    }
    const length = type === 2 ? varint() : type === 1 ? 8 : 4;
    found.push({ field, value: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

/** Strings are 2, their bytes with zeros escaped, 0; numbers are 33 and 8 bytes (FoundationDB's tuples). */
function keyStrings(key: Uint8Array): string[] {
  const parts: string[] = [];
  for (let at = 0; at < key.length;) {
    if (key[at] === 33) {
      at += 9;
      continue;
    }
    if (key[at] !== 2) break;
    const text: number[] = [];
    for (at++; at < key.length; at++) {
      if (key[at] === 0) {
        if (key[at + 1] !== 255) break;
        at++;
        text.push(0);
      } else text.push(key[at] ?? 0);
    }
    at++;
    parts.push(new TextDecoder().decode(Uint8Array.from(text)));
  }
  return parts;
}
