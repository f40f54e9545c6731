/** Safetensors files for tests, well-formed or not. */

export interface Raw {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  readonly data_offsets?: readonly [number, number];
}

/** A safetensors file, well-formed unless an entry brings offsets of its own. */
export function encode(tensors: Readonly<Record<string, Raw>>): Uint8Array {
  let offset = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { data, ...entry }]) => {
      const data_offsets = entry.data_offsets ?? [offset, offset + data.byteLength];
      offset += data.byteLength;
      return [name, { ...entry, data_offsets }];
    }),
  );
  return withHeader(JSON.stringify(header), Object.values(tensors).map(({ data }) => data));
}

export function withHeader(json: string, parts: readonly Uint8Array[] = [], length = json.length): Uint8Array {
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(length), true);
  return Uint8Array.from([prefix, new TextEncoder().encode(json), ...parts].flatMap((part) => [...part]));
}

export const floats = (...values: number[]): Raw => ({
  dtype: "F32",
  shape: [values.length],
  data: new Uint8Array(Float32Array.from(values).buffer),
});
