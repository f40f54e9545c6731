/**
 * A model folder in the published layout: `config.json`, `model.safetensors` or shards with
 * `model.safetensors.index.json`, `vqvae/config.json` and `vqvae/diffusion_pytorch_model.safetensors`. Everything is
 * checked before anything is used; every problem is one error that names file, tensor, expected and found.
 *
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { fileSource } from "./byte_source.ts";
import { type ModelConfig, parseConfig } from "./config.ts";
import { modelLayout, type Part, VQ_PREFIX } from "./layout.ts";
import { isPlainName } from "./plain_name.ts";
import { Safetensors, type TensorEntry } from "./safetensors.ts";
import type { TensorSource } from "./weights.ts";

const INDEX = "model.safetensors.index.json";
const SINGLE = "model.safetensors";
const VQ_CONFIG = "vqvae/config.json";
const VQ_WEIGHTS = "vqvae/diffusion_pytorch_model.safetensors";

export interface ModelFolder {
  readonly path: string;
  readonly config: ModelConfig;
  readonly weights: TensorSource;
  /** Parts of which every tensor is there. */
  readonly parts: ReadonlySet<Part>;
  /** Names of the files that hold the weights. */
  readonly files: ReadonlySet<string>;
  close(): Promise<void>;
}

interface Located {
  readonly file: string;
  readonly entry: TensorEntry;
  readonly tensors: Safetensors;
}

/**
 * Opens and checks a folder. `need`: parts that must be complete; other parts may be absent as a whole.
 *
 * @throws {UnmaskError} `folder_missing`, `file_missing`, `file_truncated`, `json_invalid`, `config_invalid`,
 * `config_unsupported`, `index_invalid`, `safetensors_invalid`, `dtype_unsupported`, `tensor_missing`,
 * `tensor_unknown`, `tensor_shape`
 */
export async function openFolder(
  path: string,
  need: readonly Part[] = ["language", "generation", "vq"],
): Promise<ModelFolder> {
  const isFolder = await stat(path).then((info) => info.isDirectory(), () => false);
  if (!isFolder) {
    throw new UnmaskError({
      code: "folder_missing",
      message: `there is no model folder ${path}`,
      fix: "give the folder that holds config.json",
    });
  }
  const config = parseConfig(await readJson(path, "config.json"), await readJson(path, VQ_CONFIG));
  const opened: Safetensors[] = [];
  const close = async () => {
    for (const each of opened) await each.close();
  };
  try {
    const found = await locate(path, opened);
    const parts = check(config, found, need);
    const files = new Set([...found.values()].map(({ file }) => file));
    return { path, config, weights: tensorSource(found), parts, files, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A file of a model folder, parsed. @throws {UnmaskError} `file_missing`, `json_invalid` */
export async function readJson(folder: string, file: string): Promise<unknown> {
  const text = await readFile(join(folder, file), "utf8").catch((cause: unknown) => {
    throw new UnmaskError({
      code: "file_missing",
      message: `${file} is not in the model folder`,
      fix: "check that the model folder is complete",
      cause,
    });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UnmaskError({ code: "json_invalid", message: `${file} is not JSON`, fix: "download it again", cause });
  }
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Opens the shards that the index names, or the one file, and the VQ file if there is one. */
async function locate(folder: string, opened: Safetensors[]): Promise<Map<string, Located>> {
  const found = new Map<string, Located>();
  const openFile = async (file: string, prefix = "") => {
    const source = await fileSource(join(folder, file), file);
    const tensors = await Safetensors.open(source).catch(async (error: unknown) => {
      await source.close();
      throw error;
    });
    opened.push(tensors);
    for (const [name, entry] of tensors.entries) {
      const known = found.get(prefix + name);
      // The VQ tokenizer may be in the main shards and in vqvae/ (facts 2.6); the main shards win.
      if (known !== undefined && prefix === "") {
        throw new UnmaskError({
          code: "tensor_unknown",
          message: `tensor ${name} is in ${known.file} and in ${file}`,
          fix: "keep one of them",
        });
      }
      if (known === undefined) found.set(prefix + name, { file, entry, tensors });
    }
  };
  const exists = (file: string) => stat(join(folder, file)).then(() => true, () => false);
  if (await exists(INDEX)) {
    const map = parseIndex(await readJson(folder, INDEX));
    for (const file of new Set(Object.values(map))) await openFile(file);
    for (const [name, file] of Object.entries(map)) {
      const place = found.get(name);
      if (place?.file !== file) {
        throw new UnmaskError({
          code: "tensor_missing",
          message: `${INDEX} says that ${file} has tensor ${name}; it is ${
            place === undefined ? "nowhere" : `in ${place.file}`
          }`,
          fix: "download index and shards of one release",
        });
      }
    }
  } else await openFile(SINGLE);
  if (await exists(VQ_WEIGHTS)) await openFile(VQ_WEIGHTS, VQ_PREFIX);
  return found;
}

function parseIndex(json: unknown): Record<string, string> {
  const parsed = indexSchema.safeParse(json);
  const bad = parsed.success
    ? Object.values(parsed.data.weight_map).find((file) => !isPlainName(file) || !file.endsWith(".safetensors"))
    : undefined;
  if (!parsed.success || bad !== undefined) {
    throw new UnmaskError({
      code: "index_invalid",
      message: bad === undefined
        ? `${INDEX} has no weight_map of tensor names to file names`
        : `${INDEX} names ${JSON.stringify(bad)}, which is not a plain file name ending in .safetensors`,
      fix: "use the index that came with the shards",
    });
  }
  return parsed.data.weight_map;
}

function check(config: ModelConfig, found: ReadonlyMap<string, Located>, need: readonly Part[]): Set<Part> {
  const layout = modelLayout(config);
  for (const [name, { file, entry }] of found) {
    const expected = layout.get(name);
    if (expected === undefined) {
      throw new UnmaskError({
        code: "tensor_unknown",
        message: `${file}: tensor ${name} [${entry.dims}] belongs to nothing that config.json describes`,
        fix: "check that config.json and weights are of one model",
      });
    }
    if (expected.dims.join() !== entry.dims.join()) {
      throw new UnmaskError({
        code: "tensor_shape",
        message: `${file}: tensor ${name} is [${entry.dims}], config.json asks for [${expected.dims}]`,
        fix: "check that config.json and weights are of one model",
      });
    }
    if (!["F32", "F16", "BF16"].includes(entry.dtype)) {
      throw new UnmaskError({
        code: "dtype_unsupported",
        message: `${file}: tensor ${name} is ${entry.dtype}; F32, F16 and BF16 are read`,
        fix: "convert the tensor",
      });
    }
  }
  const present = new Set([...found.keys()].flatMap((name) => layout.get(name)?.part ?? []));
  for (const part of need) present.add(part);
  if (present.has("vision") && config.vision === undefined) {
    throw new UnmaskError({
      code: "part_missing",
      message: "config.json names no vision tower",
      fix: "use a model that can see",
    });
  }
  for (const [name, { part, dims, optional }] of layout) {
    if (!present.has(part) || optional === true || found.has(name)) continue;
    const file = part === "vq" ? VQ_WEIGHTS : SINGLE;
    throw new UnmaskError({
      code: "tensor_missing",
      message: `${file} (or its shards): tensor ${name} [${dims}] is missing`,
      fix: "check that the model folder is complete",
    });
  }
  return present;
}

function tensorSource(found: ReadonlyMap<string, Located>): TensorSource {
  const place = (name: string): Located => {
    const located = found.get(name);
    if (located !== undefined) return located;
    throw new UnmaskError({
      code: "tensor_missing",
      message: `the model folder has no tensor ${name}`,
      fix: "check that the model folder is complete",
    });
  };
  return {
    dims: (name) => found.get(name)?.entry.dims,
    read(name) {
      const { tensors, entry } = place(name);
      return tensors.readFloat(entry.name);
    },
    readRows(name, first, count) {
      const { tensors, entry } = place(name);
      return tensors.readRows(entry.name, first, count);
    },
  };
}
