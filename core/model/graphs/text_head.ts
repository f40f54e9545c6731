/**
 * The LM head over all words, or over the LOC rows alone, which is all that grounding looks at (facts 6.6, 10.1).
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { linear } from "../../../kernels/onnx/layers.ts";
import type { ModelConfig } from "../config.ts";
import { someRows, type TensorSource, weight } from "../weights.ts";

export interface HeadRows {
  /** Id of the first row's token. */
  readonly first: number;
  readonly count: number;
}

/** Input: `states` fp32 [rows, asked, dModel]. Output: `logits` fp32 [rows, asked, vocabulary, or `rows.count`]. */
export function headGraph(
  config: ModelConfig,
  source: TensorSource,
  rows?: HeadRows,
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder(rows === undefined ? "text_head" : "text_head_rows");
  const states = g.input("states", "float32", ["rows", "asked", config.dModel]);
  const whole = weight(source, "model.transformer.ff_out.weight");
  const head = rows === undefined ? whole : someRows(source, whole.name, rows.first, rows.count);
  g.output("logits", linear(g, states, head), "float32", ["rows", "asked", head.dims[0] ?? 0]);
  return g.build(build);
}
