/**
 * A model of every task: the embedded one, with seeded numbers in place of what it was not trained for. What it says and
 * sees means nothing, but is the same each time, and so can be judged byte by byte.
 *
 * @module
 */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseConfig } from "../../core/model/config.ts";
import { writeHalves } from "../../core/model/convert/table_file.ts";
import { openFolder, readJson } from "../../core/model/folder.ts";
import { modelLayout } from "../../core/model/layout.ts";
import type { TensorSource } from "../../core/model/weights.ts";
import { syntheticWeights } from "../fullsize/synthetic.ts";

/** Of a tower for a model that has none: four cells a view, so that a picture is a few tokens. */
const TOWER = {
  image_size: 56,
  patch_size: 14,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 3,
  num_attention_heads: 2,
} as const;
const SEED = 6;

/** Files that are the same. */
const KEPT = [
  "tokenizer.json",
  "lexicon.json",
  "vqvae/config.json",
  "vqvae/diffusion_pytorch_model.safetensors",
] as const;

/** Writes the model into `to`, which must not be there. */
export async function writeWholeModel(from: string, to: string): Promise<void> {
  await mkdir(join(to, "vqvae"), { recursive: true });
  for (const file of KEPT) await copyFile(join(from, file), join(to, file));
  // Not what the weights were trained for.
  const { tasks: _, feedback: __, ...generation } = await readJson(from, "generation.json") as Readonly<
    Record<string, unknown>
  >;
  await writeFile(join(to, "generation.json"), JSON.stringify(generation));
  const trained = await openFolder(from);
  try {
    const raw = await readJson(from, "config.json") as Readonly<Record<string, unknown>>;
    const json = trained.config.vision === undefined ? { ...raw, vision_config: TOWER } : raw;
    await writeFile(join(to, "config.json"), JSON.stringify(json));
    const config = parseConfig(json, await readJson(from, "vqvae/config.json"));
    const names = [...modelLayout(config)].filter(([, { part, optional }]) => part !== "vq" && optional !== true)
      .map(([name]) => name);
    const whole = await mixed(trained.weights, syntheticWeights(config, SEED), names);
    await writeHalves(whole, "model.safetensors", names, { folder: to });
  } finally {
    await trained.close();
  }
}

/** Each tensor of `trained`, or of `made` where that has none or nothing but zeros. */
async function mixed(trained: TensorSource, made: TensorSource, names: readonly string[]): Promise<TensorSource> {
  const empty = new Set<string>();
  for (const name of names) {
    if (trained.dims(name) === undefined || (await trained.read(name)).every((value) => value === 0)) empty.add(name);
  }
  const of = (name: string) => (empty.has(name) ? made : trained);
  return {
    dims: (name) => of(name).dims(name),
    read: (name) => of(name).read(name),
    readRows: (name, first, count) => of(name).readRows(name, first, count),
  };
}
