/**
 * From patches to tokens of the understanding branch (facts 2.5): a 2x2 convolution pools four patches to a cell, two
 * linear maps with an exact GELU between them give the cell the width of text. Newlines are put between rows by the
 * host (vision.ts).
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { convolution } from "../../../kernels/onnx/convolution.ts";
import { affine } from "../../../kernels/onnx/layers.ts";
import { gelu, reshape, transpose } from "../../../kernels/onnx/ops.ts";
import type { ModelConfig } from "../config.ts";
import { cellsAcross, patchesAcross, type VisionConfig } from "../vision_config.ts";
import { type TensorSource, weight } from "../weights.ts";

/**
 * Input: `features` fp32 [views, patches, hidden]. Output: `tokens` fp32 [views, cells, dModel], cells row-major.
 *
 * `observe`: `pooled` [views, cells, hidden].
 */
export function visionProjectGraph(
  config: ModelConfig,
  vision: VisionConfig,
  source: TensorSource,
  observe: readonly string[] = [],
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("vision_project", observe);
  const patches = patchesAcross(vision);
  const cells = cellsAcross(vision) ** 2;
  const { hidden } = vision;
  const features = g.input("features", "float32", ["views", patches ** 2, hidden]);
  const pair = (name: string) =>
    [weight(source, `model.${name}.weight`), weight(source, `model.${name}.bias`)] as const;
  const planes = reshape(g, transpose(g, features, [0, 2, 1]), [0, hidden, patches, patches]);
  const pooled = convolution(g, planes, ...pair("vision_resampler.pool"), { stride: 2, pads: [0, 0, 0, 0] });
  const rows = transpose(g, reshape(g, pooled, [0, hidden, -1]), [0, 2, 1]);
  g.observe("pooled", rows, ["views", cells, hidden]);
  const wide = gelu(g, affine(g, rows, ...pair("mm_projector.0")));
  g.output("tokens", affine(g, wide, ...pair("mm_projector.2")), "float32", ["views", cells, config.dModel]);
  return g.build(build);
}
