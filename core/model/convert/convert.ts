/**
 * A checkpoint to a folder of graphs in fewer bits. It is written beside its final place, manifest last, and moved there
 * when it is whole: what a killed conversion leaves does not load.
 *
 * @module
 */
import { mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Engine } from "../../engine/types.ts";
import { UnmaskError } from "../../errors.ts";
import type { ModelConfig } from "../config.ts";
import type { HeadRows } from "../graphs/text_head.ts";
import { Lazy } from "../lazy.ts";
import { foldTables } from "../folded_tables.ts";
import type { TensorSource } from "../weights.ts";
import { formatted } from "./formats.ts";
import { type FileEntry, HashedFile } from "./hashed_file.ts";
import { type ConvertedPart, type Dtype, GRAPH_VERSION, MANIFEST, type Manifest } from "./manifest.ts";
import { type Recipe, recipes } from "./recipes.ts";
import { tooLarge, writeTables } from "./table_file.ts";
import { WeightFiles } from "./weight_files.ts";

/** What is converted, wherever it comes from. */
export interface ConvertSource {
  readonly config: ModelConfig;
  readonly weights: TensorSource;
  /** Small files that are taken along: configuration, tokenizer. Names may have one folder: `vqvae/config.json`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Rows of the LM head for the LOC tokens; only for `understand`. */
  readonly locations: () => HeadRows;
  /** Tells one checkpoint from another. */
  fingerprint(): Promise<string>;
}

export interface ConvertOptions {
  readonly source: ConvertSource;
  /** A folder that is not there yet, or empty. */
  readonly to: string;
  readonly dtype: Dtype;
  readonly parts: readonly ConvertedPart[];
  /** Folds the tables of the drawing's input. */
  readonly engine: Engine;
  /** Bytes of an external file. */
  readonly fileLimit?: number;
  /** `what`: a graph's name, or `tables`; `done` and `total` in bytes. */
  readonly onProgress?: (what: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Suffix of the folder that is being written. */
export const UNFINISHED = ".converting";
/** Convolutions of this many bytes stay fp16 in a CPU's memory; see GraphFile.keepHalf. */
const KEEP_HALF = 64 * 2 ** 20;

/** @throws {UnmaskError} `output_exists`, `conversion_unfinished`, `weight_out_of_range`, what the source's tensors throw */
export async function convert(options: ConvertOptions): Promise<Manifest> {
  const { to } = options;
  await refuseOccupied(to);
  const folder = `${to}${UNFINISHED}`;
  await mkdir(dirname(to), { recursive: true });
  await mkdir(folder).catch((cause: unknown) => {
    throw cause instanceof Error && "code" in cause && cause.code === "EEXIST" ? unfinished(folder, cause) : cause;
  });
  try {
    const manifest = await write(folder, options);
    options.signal?.throwIfAborted();
    await rename(folder, to);
    await syncFolder(dirname(to));
    return manifest;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function write(folder: string, options: ConvertOptions): Promise<Manifest> {
  const { source, dtype, parts, engine, onProgress, signal } = options;
  const tables = new Lazy(() => foldTables(source.config, source.weights, engine, false));
  const wanted = recipes(source.config, formatted(source.weights, dtype), {
    tables: () => tables.get(),
    locations: source.locations,
  }).filter(({ part }) => parts.includes(part));
  const progress = onProgress === undefined ? {} : { onProgress };
  const store = new WeightFiles({
    folder,
    ...progress,
    ...(signal === undefined ? {} : { signal }),
    ...(options.fileLimit === undefined ? {} : { fileLimit: options.fileLimit }),
  });
  const graphs: Manifest["graphs"] = [];
  const files: FileEntry[] = [];
  try {
    for (const recipe of wanted) {
      const { graph, file } = await writeGraph(folder, recipe, store);
      graphs.push(graph);
      files.push(file);
    }
    files.push(...await store.finish());
  } catch (error) {
    await store.abandon();
    throw error instanceof RangeError ? tooLarge(error) : error;
  }
  files.push(
    await writeTables(source.weights, {
      folder,
      ...(onProgress === undefined ? {} : { onProgress: (done, total) => onProgress("tables", done, total) }),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  const manifest: Manifest = {
    format: "unmask-graphs",
    graph_version: GRAPH_VERSION,
    dtype,
    parts: [...parts],
    source: { fingerprint: await source.fingerprint() },
    graphs,
    files,
  };
  await copyFiles(folder, source.files);
  const last = await HashedFile.create(folder, MANIFEST);
  await last.write(new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`));
  await last.finish();
  await syncFolder(folder);
  return manifest;
}

async function writeGraph(folder: string, recipe: Recipe, store: WeightFiles) {
  const built = await recipe.build({ store });
  if (built.name !== recipe.name) throw new TypeError(`graph ${built.name} was planned as ${recipe.name}`);
  const file = await HashedFile.create(folder, `${built.name}.onnx`);
  await file.write(built.model);
  const graph = {
    name: built.name,
    part: recipe.part,
    model: file.name,
    data: [...store.used],
    weights: built.weightBytes,
    keep_half: built.name.startsWith("vq_") && built.weightBytes > KEEP_HALF,
  };
  return { graph, file: await file.finish() };
}

async function copyFiles(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [name, bytes] of files) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
}

/** So that the manifest is on the disk before the folder has its name. */
async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return; // folders cannot be opened there
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function refuseOccupied(to: string): Promise<void> {
  const there = await readdir(to).catch((cause: unknown) => {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    if (cause instanceof Error && "code" in cause && cause.code === "ENOTDIR") return [to];
    throw cause;
  });
  if (there.length === 0) return;
  throw new UnmaskError({
    code: "output_exists",
    message: `${to} is there already and not empty`,
    fix: "give another folder, or remove that one",
    param: "to",
  });
}

function unfinished(folder: string, cause: unknown): UnmaskError {
  return new UnmaskError({
    code: "conversion_unfinished",
    message: `${folder} is there: a conversion to this folder was killed, or is running`,
    fix: "if none is running, remove it and start again",
    param: "to",
    cause,
  });
}
