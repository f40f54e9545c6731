/**
 * A model folder, published or converted, as a {@linkcode Model}.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engine/types.ts";
import { UnmaskError } from "../errors.ts";
import { isStoredFolder, openStoredFolder } from "./convert/stored_folder.ts";
import { openFolder } from "./folder.ts";
import type { Part } from "./layout.ts";
import { createModel } from "./model.ts";
import { createTokenizer } from "./tokenizer.ts";
import type { Model, Tokenizer } from "./types.ts";

export interface OpenModelOptions {
  /** Path of a model folder in the published layout, or of one that `deno task convert` made. */
  readonly folder: string;
  /** Stays open when the model is closed. */
  readonly engine: Engine;
  /** Parts that must be complete. @default {["language", "generation", "vq"]} */
  readonly parts?: readonly Part[];
}

/** What drawing is made of. */
export const DRAWING: readonly Part[] = ["language", "generation", "vq"];

/**
 * ```ts
 * const model = await openModel({ folder: "models/scenes", engine });
 * ```
 *
 * @throws {UnmaskError} what `openFolder`, `openStoredFolder` and `createTokenizer` throw
 */
export async function openModel(options: OpenModelOptions): Promise<Model> {
  const { folder, engine, parts } = options;
  const opened = await isStoredFolder(folder)
    ? await openStored(folder, parts)
    : await openFolder(folder, parts).then(({ config, weights, close }) => ({ config, weights, close }));
  try {
    const { close, ...rest } = opened;
    const tokenizer = await openTokenizer(folder);
    return await createModel({ ...rest, tokenizer, engine, dispose: close, ...(parts === undefined ? {} : { parts }) });
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function openStored(folder: string, parts: readonly Part[] = DRAWING) {
  const need = [
    ...parts.includes("generation") ? ["draw"] as const : [],
    ...parts.includes("head") || parts.includes("vision") ? ["understand"] as const : [],
  ];
  const { config, weights, graphs: stored, close } = await openStoredFolder(folder, { need });
  return { config, weights, stored, close };
}

/** @throws {UnmaskError} `file_missing`, what `createTokenizer` throws */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const json = await readFile(join(folder, "tokenizer.json"), "utf8").catch((cause: unknown) => {
    throw new UnmaskError({
      code: "file_missing",
      message: "tokenizer.json is not in the model folder",
      fix: "check that the model folder is complete",
      cause,
    });
  });
  return createTokenizer(json, await readFile(join(folder, "tokenizer_config.json"), "utf8").catch(() => "{}"));
}
