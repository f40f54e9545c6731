/**
 * The small files of a model folder that may be absent.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UnmaskError } from "../errors.ts";

/** Undefined: the folder has none. @throws {UnmaskError} `file_unreadable` (500) */
export async function optionalText(folder: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, name), "utf8");
  } catch (cause) {
    // Absent is a choice; unreadable is a fault.
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new UnmaskError({
      code: "file_unreadable",
      message: `${name} of the model folder cannot be read`,
      fix: "allow this process to read the model folder",
      status: 500,
      cause,
    });
  }
}

/** Undefined for what is not JSON; the schema refuses it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
