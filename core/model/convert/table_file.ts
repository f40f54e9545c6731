/**
 * Tensors that are looked up row by row on the host, as an fp16 safetensors file: the text embedding, and the newline
 * between rows of picture tokens.
 *
 * @module
 */
import { toHalf } from "../../../kernels/onnx/quantize.ts";
import { UnmaskError } from "../../errors.ts";
import { weight } from "../weights.ts";
import type { TensorSource } from "../weights.ts";
import { type FileEntry, HashedFile } from "./hashed_file.ts";
import { TABLES } from "./manifest.ts";

/** Bytes of fp32 rows that are in memory at once. */
const PIECE = 64 * 2 ** 20;
const NAMES = ["model.transformer.wte.weight", "model.image_newline"];

export interface TableFileOptions {
  readonly folder: string;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Writes those of the tables that the source has. */
export async function writeTables(source: TensorSource, options: TableFileOptions): Promise<FileEntry> {
  return await writeHalves(source, TABLES, NAMES.filter((name) => source.dims(name) !== undefined), options);
}

/** Tensors of a source as fp16, in a new safetensors file. @throws {UnmaskError} `weight_out_of_range` */
export async function writeHalves(
  source: TensorSource,
  name: string,
  names: readonly string[],
  options: TableFileOptions,
): Promise<FileEntry> {
  const tables = names.map((name) => weight(source, name));
  const header: Record<string, { dtype: "F16"; shape: readonly number[]; data_offsets: [number, number] }> = {};
  let total = 0;
  for (const { name, dims } of tables) {
    const bytes = 2 * dims.reduce((product, dim) => product * dim, 1);
    header[name] = { dtype: "F16", shape: dims, data_offsets: [total, total + bytes] };
    total += bytes;
  }
  const file = await HashedFile.create(options.folder, name);
  try {
    await file.write(encodeHeader(header));
    let done = 0;
    for (const { name, dims } of tables) {
      const [rows = 0, ...rest] = dims;
      const width = rest.reduce((product, dim) => product * dim, 1);
      const step = Math.max(1, Math.floor(PIECE / (4 * width)));
      for (let first = 0; first < rows; first += step) {
        options.signal?.throwIfAborted();
        const half = halfOf(await source.readRows(name, first, Math.min(step, rows - first)), name);
        await file.write(new Uint8Array(half.buffer));
        done += half.byteLength;
        options.onProgress?.(done, total);
      }
    }
    return await file.finish();
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

function halfOf(values: Float32Array, name: string): Uint16Array<ArrayBuffer> {
  try {
    return toHalf(values, name) as Uint16Array<ArrayBuffer>;
  } catch (cause) {
    throw tooLarge(cause);
  }
}

/** A weight that no small format can hold. */
export function tooLarge(cause: unknown): UnmaskError {
  return new UnmaskError({
    code: "weight_out_of_range",
    message: `the checkpoint cannot be converted: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "run the checkpoint as it is, or check that its files are intact",
    cause,
  });
}

function encodeHeader(header: object): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}
