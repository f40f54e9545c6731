/**
 * One-off graph that folds the input side of the generation branch into four lookup tables (facts 5): table, norm,
 * linear, norm and convolution corner. Run once when a model is opened; the products take the runtime's GEMM a moment
 * and would take JavaScript minutes at full size.
 *
 * @module
 */
import { type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import type { ModelConfig } from "../config.ts";
import type { TensorSource } from "../weights.ts";
import { CORNERS, embedRows, foldRows } from "./vq_tokens.ts";

/**
 * Input: `rows` fp32 [n, dModelGen], rows of `gen_embedding.0` (an input, lest the runtime fold it at load).
 * Output: `tables` fp32 [n, 4 * dModelGen], which is [n * 4, dModelGen] with row id * 4 + corner; without `corners`
 * [n, dModelGen], which the convolution is applied to.
 */
export function foldGraph(config: ModelConfig, source: TensorSource, corners = true): Promise<BuiltGraph> {
  const g = new GraphBuilder("fold_tables");
  const rows = g.input("rows", "float32", ["n", config.dModelGen]);
  const tables = corners ? foldRows(g, config, source, rows) : embedRows(g, source, rows);
  g.output("tables", tables, "float32", ["n", corners ? CORNERS * config.dModelGen : config.dModelGen]);
  return g.build();
}
