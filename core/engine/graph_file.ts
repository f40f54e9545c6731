/**
 * A graph's files in memory, for providers that cannot map them.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UnmaskError } from "../errors.ts";
import type { GraphFile } from "./types.ts";

/** @throws {UnmaskError} `file_missing` */
export async function readGraph({ name, path, externalData }: GraphFile): Promise<{
  readonly model: Uint8Array;
  readonly externalData: { path: string; data: Uint8Array }[];
}> {
  const read = async (file: string) => {
    try {
      return await readFile(file);
    } catch (cause) {
      throw new UnmaskError({
        code: "file_missing",
        message: `a file of graph ${name} cannot be read`,
        fix: "check that the model folder is complete and readable",
        status: 500,
        cause,
      });
    }
  };
  const folder = dirname(path);
  const files: { path: string; data: Uint8Array }[] = [];
  for (const file of externalData) files.push({ path: file, data: await read(join(folder, file)) });
  return { model: await read(path), externalData: files };
}
