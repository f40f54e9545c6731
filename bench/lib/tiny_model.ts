/**
 * The published architecture with random weights, small enough that a software adapter draws a picture in a moment.
 *
 * @module
 */
import { syntheticConfigs, syntheticWeights } from "../../commands/fullsize/synthetic.ts";
import type { Engine } from "../../core/engine/types.ts";
import { parseConfig } from "../../core/model/config.ts";
import { createModel } from "../../core/model/model.ts";
import { openTokenizer } from "../../core/model/open_model.ts";
import type { Model } from "../../core/model/types.ts";

/** A sixteenth of every width, two layers, pictures of 128 pixels; the tokenizer of a model folder. */
export async function tinyModel(engine: Engine, tokenizerFolder: string): Promise<Model> {
  const { config: raw, vq } = syntheticConfigs({ scale: 16, layers: 2 });
  const config = parseConfig({ ...raw, native_resolution: 128, prompt_attention: "prefix" }, vq);
  return await createModel({
    config,
    weights: syntheticWeights(config, 1),
    tokenizer: await openTokenizer(tokenizerFolder),
    engine,
    parts: ["language", "generation", "vq"],
  });
}
