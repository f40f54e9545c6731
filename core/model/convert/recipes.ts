/**
 * The graphs that a converted folder holds, by the part of the model that runs them.
 *
 * @module
 */
import type { BuildOptions, BuiltGraph } from "../../../kernels/onnx/graph.ts";
import type { ModelConfig } from "../config.ts";
import { drawGraph } from "../graphs/draw.ts";
import { promptGraph } from "../graphs/prompt.ts";
import { sourcePromptGraph } from "../graphs/source_prompt.ts";
import { headGraph, type HeadRows } from "../graphs/text_head.ts";
import { textGraph } from "../graphs/text_step.ts";
import { visionProjectGraph } from "../graphs/vision_project.ts";
import { visionTowerGraph } from "../graphs/vision_tower.ts";
import { vqDecodeGraph } from "../graphs/vq_decode.ts";
import { vqEncodeGraph } from "../graphs/vq_encode.ts";
import type { FoldedTables } from "../graphs/vq_tokens.ts";
import type { Part } from "../layout.ts";
import type { TensorSource } from "../weights.ts";
import type { ConvertedPart } from "./manifest.ts";

export interface Recipe {
  readonly name: string;
  readonly part: ConvertedPart;
  readonly build: (options: BuildOptions) => Promise<BuiltGraph>;
}

/** What graphs need that is no weight. */
export interface Ingredients {
  readonly tables: () => Promise<FoldedTables>;
  /** Rows of the LM head for the LOC tokens. */
  readonly locations: () => HeadRows;
}

/** Parts of a checkpoint that a converted part is made of. */
export function neededParts(config: ModelConfig, part: ConvertedPart): readonly Part[] {
  if (part === "draw") return ["language", "generation", "vq"];
  return config.vision === undefined ? ["language", "head"] : ["language", "head", "vision"];
}

export function recipes(config: ModelConfig, weights: TensorSource, { tables, locations }: Ingredients): Recipe[] {
  const list: Recipe[] = [];
  const put = (part: ConvertedPart, name: string, build: Recipe["build"]) => list.push({ name, part, build });
  const draw = (name: string, sourceCached: boolean) =>
    put(
      "draw",
      name,
      async (build) =>
        drawGraph(config, weights, {
          attention: config.promptAttention,
          tables: await tables(),
          sourceCached,
          build,
        }),
    );
  draw(`draw_${config.promptAttention}`, false);
  if (config.promptAttention === "prefix") {
    put("draw", "prompt", (build) => promptGraph(config, weights, [], build));
    put("draw", "source_prompt", async (build) => sourcePromptGraph(config, weights, await tables(), build));
    draw("draw_prefix_source", true);
  }
  put("draw", "vq_decode", (build) => vqDecodeGraph(config.vq, weights, [], build));
  put("draw", "vq_encode", (build) => vqEncodeGraph(config.vq, weights, [], build));
  put("understand", "text_step", (build) => textGraph(config, weights, [], build));
  put("understand", "text_head", (build) => headGraph(config, weights, undefined, build));
  put("understand", "text_head_rows", (build) => headGraph(config, weights, locations(), build));
  const { vision } = config;
  if (vision !== undefined) {
    put("understand", "vision_tower", (build) => visionTowerGraph(vision, weights, [], build));
    put("understand", "vision_project", (build) => visionProjectGraph(config, vision, weights, [], build));
  }
  return list;
}
