/**
 * Checksums: of a file that is written from its start to its end, and of one that is there.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "./manifest.ts";

/** Bytes that are read at once. */
const PIECE = 8 * 2 ** 20;

export type FileEntry = Manifest["files"][number];

export class HashedFile {
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash("sha256");
  #size = 0;

  private constructor(name: string, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
  }

  /** A new file; there must be none of that name. */
  static async create(folder: string, name: string): Promise<HashedFile> {
    return new HashedFile(name, await open(join(folder, name), "wx"));
  }

  get size(): number {
    return this.#size;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    for (let done = 0; done < bytes.byteLength;) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.byteLength - done);
      done += bytesWritten;
    }
    this.#size += bytes.byteLength;
  }

  /** Zeros up to a multiple of `alignment`. */
  async align(alignment: number): Promise<void> {
    const rest = this.#size % alignment;
    if (rest > 0) await this.write(new Uint8Array(alignment - rest));
  }

  /** To the disk, and closed. */
  async finish(): Promise<FileEntry> {
    await this.#handle.sync();
    await this.#handle.close();
    return { name: this.name, bytes: this.#size, sha256: this.#hash.digest("hex") };
  }

  abandon(): Promise<void> {
    return this.#handle.close();
  }
}

/** Hex SHA-256 of a file's bytes, read piece by piece. */
export async function hashFile(path: string, onPiece: (bytes: number) => void = () => {}): Promise<string> {
  const handle = await open(path, "r");
  try {
    const hash = createHash("sha256");
    const piece = new Uint8Array(PIECE);
    while (true) {
      const { bytesRead } = await handle.read(piece, 0, PIECE, null);
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(piece.subarray(0, bytesRead));
      onPiece(bytesRead);
    }
  } finally {
    await handle.close();
  }
}
