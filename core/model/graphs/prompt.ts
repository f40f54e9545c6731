/**
 * Prompt graph of `prefix` attention: everything before the first image token attends only to itself, so its keys and
 * values in the joint layers are computed once for a run. In the last joint layer nothing but keys and values is needed
 * (facts 10.1), and the layers after it never see the image.
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import type { ModelConfig } from "../config.ts";
import type { TensorSource } from "../weights.ts";
import { Branch } from "./branch.ts";

/** Names of the outputs for one joint layer. */
export function cacheNames(layer: number): { readonly keys: string; readonly values: string } {
  return { keys: `keys.${layer}`, values: `values.${layer}` };
}

/**
 * Inputs: `embeddings` fp32 [rows, tokens, dModel], `positions` int64 [rows, tokens].
 * Outputs: `keys.i` (rotated) and `values.i` fp32 [rows, tokens, dModel] for each joint layer i.
 * Embeddings come from the host, which reads the rows it needs: the table itself (vocabulary x dModel) is never loaded.
 *
 * `observe`: `block{i}.text` [rows, tokens, dModel] for any layer, `ln_f.text`.
 */
export function promptGraph(
  config: ModelConfig,
  source: TensorSource,
  observe: readonly string[] = [],
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("prompt", observe);
  const shape = ["rows", "tokens", config.dModel];
  const branch = new Branch(g, config, source, "language");
  let x = g.input("embeddings", "float32", shape);
  const positions = g.input("positions", "int64", ["rows", "tokens"]);
  for (let layer = 0; layer < (g.observing ? config.layers : config.jointLayers); layer++) {
    const normed = branch.normed(layer, x);
    const own = branch.keysValues(layer, normed, positions);
    if (layer < config.jointLayers) {
      g.output(cacheNames(layer).keys, own.keys, "float32", shape);
      g.output(cacheNames(layer).values, own.values, "float32", shape);
    }
    if (layer === config.jointLayers - 1 && !g.observing) break;
    x = branch.finish(layer, x, branch.queries(layer, normed, positions), own);
    g.observe(`block${layer}.text`, x, shape);
  }
  if (g.observing) g.observe("ln_f.text", branch.finalNorm(x), shape);
  return g.build(build);
}
