/**
 * Where a weight file's bytes come from: a file on disk, or memory (edge isolates, tests).
 *
 * @module
 */
import { open } from "node:fs/promises";
import { UnmaskError } from "../errors.ts";

/** Reads by position; reads may overlap. */
export interface ByteSource {
  /** Shown in errors; a plain file name. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset`. @throws {UnmaskError} `file_truncated` */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** A file, opened once. `name` is what errors call it. */
export async function fileSource(path: string, name: string): Promise<ByteSource> {
  const handle = await open(path, "r").catch((cause: unknown) => {
    throw new UnmaskError({
      code: "file_missing",
      message: `${name} cannot be opened`,
      fix: "check that the model folder is complete and readable",
      cause,
    });
  });
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    throw new UnmaskError({
      code: "file_missing",
      message: `${name} is not a file`,
      fix: "check that the model folder is complete",
    });
  }
  const { size } = info;
  return {
    name,
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw truncated(name, offset + length, offset + done);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

export function memorySource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read(offset, length) {
      if (offset + length > bytes.byteLength) return Promise.reject(truncated(name, offset + length, bytes.byteLength));
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
    close: () => Promise.resolve(),
  };
}

function truncated(name: string, wanted: number, found: number): UnmaskError {
  return new UnmaskError({
    code: "file_truncated",
    message: `${name} ends at byte ${found}, ${wanted} were expected`,
    fix: "download the file again",
  });
}
