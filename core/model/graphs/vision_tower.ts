/**
 * SigLIP's vision tower (facts 2.4): views to the states of its patches after the last kept layer, without the final
 * norm, which the published model loads and never uses.
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder, type Value } from "../../../kernels/onnx/graph.ts";
import { convolution } from "../../../kernels/onnx/convolution.ts";
import { affine, attention, layerNorm } from "../../../kernels/onnx/layers.ts";
import { add, geluTanh, reshape, transpose } from "../../../kernels/onnx/ops.ts";
import { patchesAcross, type VisionConfig } from "../vision_config.ts";
import { type TensorSource, weight } from "../weights.ts";

const PREFIX = "model.vision_tower.vision_tower.vision_model.";

/**
 * Input: `pixels` fp32 [views, 3, imageSize, imageSize], normalised to -1..1.
 * Output: `features` fp32 [views, patches, hidden], patches row-major.
 *
 * `observe`: `hidden0` (embeddings) and `hidden{i}` after layer i, counted from 1.
 */
export function visionTowerGraph(
  config: VisionConfig,
  source: TensorSource,
  observe: readonly string[] = [],
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("vision_tower", observe);
  const shape = ["views", patchesAcross(config) ** 2, config.hidden];
  const pixels = g.input("pixels", "float32", ["views", 3, config.imageSize, config.imageSize]);
  let x = g.observe("hidden0", embed(g, config, source, pixels), shape);
  for (let layer = 0; layer < config.layers; layer++) {
    x = g.observe(`hidden${layer + 1}`, block(g, config, source, layer, x), shape);
  }
  g.output("features", x, "float32", shape);
  return g.build(build);
}

function embed(g: GraphBuilder, config: VisionConfig, source: TensorSource, pixels: Value): Value {
  const name = `${PREFIX}embeddings`;
  const patches = convolution(
    g,
    pixels,
    weight(source, `${name}.patch_embedding.weight`),
    weight(source, `${name}.patch_embedding.bias`),
    { stride: config.patchSize, pads: [0, 0, 0, 0] },
  );
  const tokens = transpose(g, reshape(g, patches, [0, config.hidden, -1]), [0, 2, 1]);
  const positions = weight(source, `${name}.position_embedding.weight`);
  return add(g, tokens, g.initializer(positions.name, "float32", positions.dims, () => positions.load()));
}

function block(g: GraphBuilder, config: VisionConfig, source: TensorSource, layer: number, x: Value): Value {
  const name = (part: string) => `${PREFIX}encoder.layers.${layer}.${part}`;
  const pair = (part: string) =>
    [weight(source, `${name(part)}.weight`), weight(source, `${name(part)}.bias`)] as const;
  const normed = layerNorm(g, x, ...pair("layer_norm1"), config.layerNormEpsilon);
  const project = (part: string) => affine(g, normed, ...pair(`self_attn.${part}`));
  const attended = attention(g, project("q_proj"), project("k_proj"), project("v_proj"), config.heads);
  const middle = add(g, x, affine(g, attended, ...pair("self_attn.out_proj")));
  const hidden = affine(g, layerNorm(g, middle, ...pair("layer_norm2"), config.layerNormEpsilon), ...pair("mlp.fc1"));
  return add(g, middle, affine(g, geluTanh(g, hidden), ...pair("mlp.fc2")));
}
