/**
 * A converted folder, opened: sizes of all files, checksums of the small ones, and nothing loaded.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { UnmaskError } from "../../errors.ts";
import { fileSource } from "../byte_source.ts";
import { type ModelConfig, parseConfig } from "../config.ts";
import { readJson } from "../folder.ts";
import type { StoredGraphs } from "../graphs.ts";
import { modelLayout } from "../layout.ts";
import { Safetensors } from "../safetensors.ts";
import type { TensorSource } from "../weights.ts";
import { hashFile } from "./hashed_file.ts";
import { type ConvertedPart, MANIFEST, type Manifest, parseManifest, TABLES } from "./manifest.ts";

export interface StoredFolder {
  readonly config: ModelConfig;
  readonly manifest: Manifest;
  readonly graphs: StoredGraphs;
  /** The tables only. */
  readonly weights: TensorSource;
  close(): Promise<void>;
}

export interface StoredFolderOptions {
  /** Parts that must be there. */
  readonly need?: readonly ConvertedPart[];
  /** Checks every file's checksum, which reads all of it. @default {false} */
  readonly verify?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

export function isStoredFolder(path: string): Promise<boolean> {
  return stat(join(path, MANIFEST)).then((info) => info.isFile(), () => false);
}

/**
 * @throws {UnmaskError} `manifest_invalid`, `converted_elsewhere`, `part_missing`, `file_missing`, `file_truncated`,
 * `checksum_mismatch`, `tensor_shape`, and what the configuration's parser throws
 */
export async function openStoredFolder(path: string, options: StoredFolderOptions = {}): Promise<StoredFolder> {
  const manifest = parseManifest(await readJson(path, MANIFEST));
  for (const part of options.need ?? []) {
    if (!manifest.parts.includes(part)) throw missing(`part ${part}`, manifest);
  }
  const config = parseConfig(await readJson(path, "config.json"), await readJson(path, "vqvae/config.json"));
  await checkFiles(path, manifest, options);
  const tables = await openTables(path, config);
  const graphs = new Map(manifest.graphs.map((graph) => [graph.name, graph]));
  return {
    config,
    manifest,
    graphs: {
      find(name) {
        const graph = graphs.get(name);
        if (graph === undefined) throw missing(`graph ${name}`, manifest);
        return {
          bytes: graph.weights,
          file: { name, path: join(path, graph.model), externalData: graph.data, keepHalf: graph.keep_half },
        };
      },
    },
    weights: {
      dims: (name) => tables.entries.get(name)?.dims,
      read: (name) => tables.readFloat(name),
      readRows: (name, first, count) => tables.readRows(name, first, count),
    },
    close: () => tables.close(),
  };
}

async function checkFiles(path: string, { files }: Manifest, { verify, onProgress }: StoredFolderOptions) {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const { name, bytes, sha256 } of files) {
    const size = await stat(join(path, name)).then((info) => info.size, () => undefined);
    if (size !== bytes) {
      throw new UnmaskError({
        code: size === undefined ? "file_missing" : "file_truncated",
        message: size === undefined
          ? `${name} is not in the model folder`
          : `${name} has ${size} bytes, ${bytes} were written`,
        fix: "copy the folder again, or convert the checkpoint again",
      });
    }
    if (verify !== true && !name.endsWith(".onnx")) continue;
    const found = await hashFile(join(path, name), (piece) => onProgress?.(done += piece, total));
    if (found === sha256) continue;
    throw new UnmaskError({
      code: "checksum_mismatch",
      message: `${name} has checksum ${found}, ${sha256} was written`,
      fix: "copy the folder again, or convert the checkpoint again",
    });
  }
}

async function openTables(path: string, config: ModelConfig): Promise<Safetensors> {
  const source = await fileSource(join(path, TABLES), TABLES);
  try {
    const tables = await Safetensors.open(source);
    const layout = modelLayout(config);
    for (const [name, { dims }] of tables.entries) {
      const expected = layout.get(name)?.dims;
      if (expected?.join() === dims.join()) continue;
      throw new UnmaskError({
        code: "tensor_shape",
        message: `${TABLES}: tensor ${name} is [${dims}], config.json asks for [${expected ?? "nothing"}]`,
        fix: "convert the checkpoint again",
      });
    }
    return tables;
  } catch (error) {
    await source.close();
    throw error;
  }
}

function missing(what: string, { parts }: Manifest): UnmaskError {
  return new UnmaskError({
    code: "part_missing",
    message: `the converted folder has no ${what}; it holds ${parts.join(" and ")}`,
    fix: "convert the checkpoint with --parts all",
  });
}
