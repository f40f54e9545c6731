/**
 * The understanding branch over text and picture tokens: a prompt to its keys and values, an answer behind them, or a
 * whole sequence at once (facts 4, 6.5). One graph serves all three, for there is one copy of its weights: what was
 * computed before comes as keys and values, none of them if there is nothing before.
 *
 * Saving (facts 10.1): in the last layer queries, output projection and MLP only for the places that are asked for.
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { gather } from "../../../kernels/onnx/ops.ts";
import type { ModelConfig } from "../config.ts";
import type { TensorSource } from "../weights.ts";
import { Branch, joined } from "./branch.ts";
import { cacheNames } from "./prompt.ts";

/** Names of one layer's own keys and values, outputs. */
export function ownNames(layer: number): { readonly keys: string; readonly values: string } {
  return { keys: `own.keys.${layer}`, values: `own.values.${layer}` };
}

/**
 * Inputs:
 * - `embeddings` fp32 [rows, tokens, dModel], `positions` int64 [rows, tokens], counted in the whole sequence
 * - `asked` int32 [asked]: places among the tokens; `asked_positions` int64 [rows, asked]
 * - `keys.i`, `values.i` fp32 [rows, past, dModel] for each layer i, rotated; past may be 0
 *
 * Outputs: `states` fp32 [rows, asked, dModel] after the final norm; `own.keys.i` (rotated) and `own.values.i`
 * fp32 [rows, tokens, dModel].
 *
 * `observe`: `block{i}.text`, `block{i}.keys.text` (before rotation), `block{i}.values.text` [rows, tokens, dModel].
 */
export function textGraph(
  config: ModelConfig,
  source: TensorSource,
  observe: readonly string[] = [],
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("text_step", observe);
  const shape = ["rows", "tokens", config.dModel];
  const branch = new Branch(g, config, source, "language");
  let x = g.input("embeddings", "float32", shape);
  const positions = g.input("positions", "int64", ["rows", "tokens"]);
  const asked = g.input("asked", "int32", ["asked"]);
  const askedPositions = g.input("asked_positions", "int64", ["rows", "asked"]);
  const past = Array.from({ length: config.layers }, (_, layer) => {
    const names = cacheNames(layer);
    const before = ["rows", "past", config.dModel];
    return { keys: g.input(names.keys, "float32", before), values: g.input(names.values, "float32", before) };
  });
  for (const [layer, cached] of past.entries()) {
    const narrow = layer === config.layers - 1 && !g.observing;
    let normed = branch.normed(layer, x);
    const own = branch.keysValues(layer, normed, positions);
    g.output(ownNames(layer).keys, own.keys, "float32", shape);
    g.output(ownNames(layer).values, own.values, "float32", shape);
    if (narrow) {
      x = gather(g, x, asked, 1);
      normed = gather(g, normed, asked, 1);
    }
    const queries = branch.queries(layer, normed, narrow ? askedPositions : positions);
    x = branch.finish(layer, x, queries, joined(g, cached, own));
    if (!narrow) g.observe(`block${layer}.text`, x, shape);
  }
  if (g.observing) x = gather(g, x, asked, 1);
  g.output("states", branch.finalNorm(x), "float32", ["rows", "asked", config.dModel]);
  return g.build(build);
}
