/**
 * Prompt graph of `prefix` attention for an edit: text and the source picture's VQ tokens, which attend only to each
 * other. The source's tokens go through all layers, since the target sees their keys and values in split layers too
 * (facts 1.3, 4).
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { repeatRows } from "../../../kernels/onnx/ops.ts";
import type { HostTensor } from "../../engine/types.ts";
import type { ModelConfig } from "../config.ts";
import { type Feeds, positionRows, type SourceCells } from "../prompt_cache.ts";
import type { TensorSource } from "../weights.ts";
import { Branch, joined } from "./branch.ts";
import { cacheNames } from "./prompt.ts";
import { CORNERS, type FoldedTables, tokensFolded } from "./vq_tokens.ts";

/**
 * Inputs: `embeddings` fp32 [rows, text, dModel], `positions` int64 [rows, text], `source_rows` int32 [1, source, 4] (as
 * the draw graph's `corner_rows`), `source_positions` int64 [rows, source], `row_ones` fp32 [rows, 1, 1].
 * Outputs: `keys.i` (rotated) and `values.i` fp32: [rows, text + source, dModel] for each joint layer i,
 * [rows, source, dModel] for each split layer.
 */
export function sourcePromptGraph(
  config: ModelConfig,
  weights: TensorSource,
  tables: FoldedTables,
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("source_prompt");
  let text = g.input("embeddings", "float32", ["rows", "text", config.dModel]);
  const textPositions = g.input("positions", "int64", ["rows", "text"]);
  const cells = g.input("source_rows", "int32", [1, "source", CORNERS]);
  const positions = g.input("source_positions", "int64", ["rows", "source"]);
  const ones = g.input("row_ones", "float32", ["rows", 1, 1]);
  const language = new Branch(g, config, weights, "language");
  const generation = new Branch(g, config, weights, "generation");
  let x = repeatRows(g, tokensFolded(g, config, weights, tables, cells), ones);
  for (let layer = 0; layer < config.layers; layer++) {
    const joint = layer < config.jointLayers;
    const normed = generation.normed(layer, x);
    const own = generation.keysValues(layer, normed, positions);
    const textNormed = joint ? language.normed(layer, text) : undefined;
    const seen = textNormed === undefined ? own : joined(g, language.keysValues(layer, textNormed, textPositions), own);
    const names = cacheNames(layer);
    const shape = ["rows", joint ? "all" : "source", config.dModel];
    g.output(names.keys, seen.keys, "float32", shape);
    g.output(names.values, seen.values, "float32", shape);
    if (layer === config.layers - 1) break;
    x = generation.finish(layer, x, generation.queries(layer, normed, positions), seen);
    if (textNormed !== undefined && layer < config.jointLayers - 1) {
      text = language.finish(layer, text, language.queries(layer, textNormed, textPositions), seen);
    }
  }
  return g.build(build);
}

/** The source's inputs. */
export function sourceFeeds(source: SourceCells, rows: number): Feeds {
  const cells = source.places.length;
  const corners: HostTensor = { dtype: "int32", dims: [1, cells, CORNERS], data: source.cornerRows };
  return {
    source_rows: corners,
    source_positions: positionRows(rows, cells, (index) => source.places[index] ?? 0),
    row_ones: { dtype: "float32", dims: [rows, 1, 1], data: new Float32Array(rows).fill(1) },
  };
}

/** Every output's name for `layers` layers. */
export function promptOutputs(layers: number): string[] {
  return Array.from({ length: layers }, (_, layer) => Object.values(cacheNames(layer))).flat();
}
