/**
 * One safetensors file: 8 bytes of header length (u64, little-endian), a JSON header, then the tensors' bytes. Hostile
 * files are refused before anything is read by their word: the header is bounded, offsets lie inside the file, do not
 * overlap and agree with shape and dtype.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import type { ByteSource } from "./byte_source.ts";

/** Largest header that is read, in bytes; the reference reader has the same bound. */
export const MAX_HEADER_BYTES = 100_000_000;

const ELEMENT_BYTES = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const;

export type SafetensorsType = keyof typeof ELEMENT_BYTES;

export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsType;
  readonly dims: readonly number[];
  /** From the start of the file, in bytes. */
  readonly offset: number;
  readonly byteLength: number;
}

export type IntegerData = BigInt64Array | Int32Array | Int16Array | Int8Array | Uint8Array;

const header = z.record(
  z.string(),
  z.object({
    dtype: z.string(),
    shape: z.array(z.int().nonnegative()),
    data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
  }),
);

/** An open file; tensors are read one by one, when asked for. */
export class Safetensors {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  #source: ByteSource;

  private constructor(source: ByteSource, entries: ReadonlyMap<string, TensorEntry>) {
    this.#source = source;
    this.entries = entries;
  }

  /** @throws {UnmaskError} `safetensors_invalid`, `dtype_unsupported`, `file_truncated`: file, tensor and numbers named. */
  static async open(source: ByteSource): Promise<Safetensors> {
    if (source.size < 8) throw invalid(source.name, `it has ${source.size} bytes, a header needs 8`);
    const prefix = await source.read(0, 8);
    const length = new DataView(prefix.buffer).getBigUint64(0, true);
    if (length > BigInt(MAX_HEADER_BYTES)) {
      throw invalid(source.name, `its header claims ${length} bytes, at most ${MAX_HEADER_BYTES} are read`);
    }
    const headerBytes = Number(length);
    if (8 + headerBytes > source.size) {
      throw invalid(source.name, `its header ends at byte ${8 + headerBytes}, the file at ${source.size}`);
    }
    return new Safetensors(source, parseHeader(source, await source.read(8, headerBytes)));
  }

  /** F32, F16 or BF16 as fp32. @throws {UnmaskError} `tensor_missing`, `dtype_unsupported` */
  async readFloat(name: string): Promise<Float32Array> {
    const entry = this.#entry(name);
    return decodeFloat(await this.#source.read(entry.offset, entry.byteLength), entry, this.#source.name);
  }

  /** Rows `first` to `first + count` of a tensor, as fp32; rows are counted along its first dimension. */
  async readRows(name: string, first: number, count: number): Promise<Float32Array> {
    const entry = this.#entry(name);
    const rows = entry.dims[0] ?? 0;
    if (first < 0 || count < 0 || first + count > rows) {
      throw new RangeError(`${name} has ${rows} rows, not ${first}+${count}`);
    }
    const rowBytes = entry.byteLength / rows;
    return decodeFloat(
      await this.#source.read(entry.offset + first * rowBytes, count * rowBytes),
      entry,
      this.#source.name,
    );
  }

  /** An integer or boolean tensor as it is. */
  async readInteger(name: string): Promise<IntegerData> {
    const entry = this.#entry(name);
    const { buffer } = await this.#source.read(entry.offset, entry.byteLength);
    switch (entry.dtype) {
      case "I64":
        return new BigInt64Array(buffer);
      case "I32":
        return new Int32Array(buffer);
      case "I16":
        return new Int16Array(buffer);
      case "I8":
        return new Int8Array(buffer);
      case "U8":
      case "BOOL":
        return new Uint8Array(buffer);
      default:
        throw wrongType(this.#source.name, entry, "an integer type");
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #entry(name: string): TensorEntry {
    const entry = this.entries.get(name);
    if (entry === undefined) {
      throw new UnmaskError({
        code: "tensor_missing",
        message: `${this.#source.name} has no tensor ${name}`,
        fix: "check that the model folder is complete",
      });
    }
    return entry;
  }
}

function parseHeader(source: ByteSource, bytes: Uint8Array): Map<string, TensorEntry> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid(source.name, "its header is not JSON", cause);
  }
  if (typeof json !== "object" || json === null) throw invalid(source.name, "its header is not an object");
  const { __metadata__: _, ...tensors } = json as Record<string, unknown>;
  const parsed = header.safeParse(tensors);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(source.name, `header entry ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const start = 8 + bytes.byteLength;
  const entries = Object.entries(parsed.data).map(([name, raw]): TensorEntry => {
    if (!isKnown(raw.dtype)) {
      throw new UnmaskError({
        code: "dtype_unsupported",
        message: `${source.name}: tensor ${name} has dtype ${raw.dtype}`,
        fix: `convert it to one of ${Object.keys(ELEMENT_BYTES).join(", ")}`,
      });
    }
    const [begin, end] = raw.data_offsets;
    const expected = raw.shape.reduce((product, dim) => product * dim, ELEMENT_BYTES[raw.dtype]);
    if (end - begin !== expected) {
      throw invalid(
        source.name,
        `tensor ${name} [${raw.shape}] ${raw.dtype} needs ${expected} bytes, its offsets span ${end - begin}`,
      );
    }
    if (start + end > source.size) {
      throw invalid(
        source.name,
        `tensor ${name} ends at byte ${start + end}, the file at ${source.size}; it is truncated`,
      );
    }
    return { name, dtype: raw.dtype, dims: raw.shape, offset: start + begin, byteLength: expected };
  });
  refuseOverlaps(source, entries);
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function refuseOverlaps(source: ByteSource, entries: readonly TensorEntry[]): void {
  const ordered = entries.filter((entry) => entry.byteLength > 0).sort((a, b) => a.offset - b.offset);
  for (const [index, entry] of ordered.entries()) {
    const next = ordered[index + 1];
    if (next !== undefined && entry.offset + entry.byteLength > next.offset) {
      throw invalid(source.name, `tensors ${entry.name} and ${next.name} overlap`);
    }
  }
}

function decodeFloat(bytes: Uint8Array<ArrayBuffer>, entry: TensorEntry, file: string): Float32Array {
  if (entry.dtype === "F32") return new Float32Array(bytes.buffer);
  if (entry.dtype === "F16") return new Float32Array(new Float16Array(bytes.buffer));
  if (entry.dtype !== "BF16") throw wrongType(file, entry, "F32, F16 or BF16");
  const words = new Uint16Array(bytes.buffer);
  const result = new Float32Array(words.length);
  const bits = new Uint32Array(result.buffer);
  for (let i = 0; i < words.length; i++) bits[i] = (words[i] ?? 0) << 16; // bf16 is fp32's upper half
  return result;
}

function isKnown(dtype: string): dtype is SafetensorsType {
  return Object.hasOwn(ELEMENT_BYTES, dtype);
}

function wrongType(file: string, entry: TensorEntry, wanted: string): UnmaskError {
  return new UnmaskError({
    code: "dtype_unsupported",
    message: `${file}: tensor ${entry.name} is ${entry.dtype}, ${wanted} was expected`,
    fix: "convert the tensor",
  });
}

function invalid(file: string, problem: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "safetensors_invalid",
    message: `${file}: ${problem}`,
    fix: "download or export the file again",
    cause,
  });
}
