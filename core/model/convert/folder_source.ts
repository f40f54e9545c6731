/**
 * A model folder in the published layout as something to convert.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { openFolder } from "../folder.ts";
import type { Part } from "../layout.ts";
import { openTokenizer } from "../open_model.ts";
import type { ConvertSource } from "./convert.ts";
import { hashFile } from "./hashed_file.ts";
import { neededParts } from "./recipes.ts";
import type { ConvertedPart } from "./manifest.ts";

const NEEDED = ["config.json", "vqvae/config.json", "tokenizer.json"];
const OPTIONAL = ["tokenizer_config.json", "chat_template.jinja", "lexicon.json", "generation.json", "LICENSE"];

export interface FolderSource extends ConvertSource {
  close(): Promise<void>;
}

export interface FolderSourceOptions {
  /** Of the fingerprint: bytes read of all weights. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** @throws {UnmaskError} what `openFolder` and the tokenizer throw */
export async function folderSource(
  path: string,
  parts: readonly ConvertedPart[],
  { onProgress, signal }: FolderSourceOptions = {},
): Promise<FolderSource> {
  const tokenizer = await openTokenizer(path);
  const peek = await openFolder(path, []);
  const need: Part[] = parts.flatMap((part) => neededParts(peek.config, part));
  await peek.close();
  const folder = await openFolder(path, need);
  const files = new Map<string, Uint8Array>();
  for (const name of NEEDED) files.set(name, await readFile(join(path, name)));
  for (const name of OPTIONAL) {
    const bytes = await readFile(join(path, name)).catch(() => undefined);
    if (bytes !== undefined) files.set(name, bytes);
  }
  return {
    config: folder.config,
    weights: folder.weights,
    files,
    // A model without LOC tokens cannot point; its tokenizer says so when the row is looked up.
    locations: () => ({ first: tokenizer.id("<LOC_0>"), count: folder.config.locTokens }),
    async fingerprint() {
      const names = [...folder.files];
      const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
      const total = sizes.reduce((a, b) => a + b, 0);
      let done = 0;
      const whole = createHash("sha256");
      for (const name of NEEDED) whole.update(`${name}\0`).update(files.get(name) ?? new Uint8Array());
      for (const name of names.toSorted()) {
        const hash = await hashFile(join(path, name), (bytes) => {
          signal?.throwIfAborted();
          done += bytes;
          onProgress?.(done, total);
        });
        whole.update(`${name}\0${hash}\0`);
      }
      return `sha256:${whole.digest("hex")}`;
    },
    close: () => folder.close(),
  };
}
