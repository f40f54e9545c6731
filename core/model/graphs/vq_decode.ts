/**
 * VQ ids to a picture (facts 2.6): code lookup, post_quant_conv, decoder.
 *
 * @module
 */
import { upsampleNearest } from "../../../kernels/onnx/convolution.ts";
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { parameter } from "../../../kernels/onnx/layers.ts";
import { gather, transpose } from "../../../kernels/onnx/ops.ts";
import { VQ_PREFIX } from "../layout.ts";
import type { VqConfig } from "../vq_config.ts";
import { type TensorSource, weight } from "../weights.ts";
import { VqLayers } from "./vq_blocks.ts";

/**
 * Input: `ids` int32 [pictures, height, width], each below `codes`.
 * Output: `picture` fp32 [pictures, 3, height * factor, width * factor], not clipped.
 */
export function vqDecodeGraph(
  config: VqConfig,
  source: TensorSource,
  observe: readonly string[] = [],
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("vq_decode", observe);
  const layers = new VqLayers(g, config, source);
  const ids = g.input("ids", "int32", ["pictures", "height", "width"]);
  const codes = parameter(g, weight(source, `${VQ_PREFIX}quantize.embedding.weight`));
  let x = transpose(g, gather(g, codes, ids, 0), [0, 3, 1, 2]);
  x = layers.convolution(x, "post_quant_conv");
  x = layers.middle(layers.convolution(x, "decoder.conv_in"), "decoder.mid_block");
  for (const [block, channels] of config.channels.toReversed().entries()) {
    const name = `decoder.up_blocks.${block}`;
    for (let i = 0; i <= config.resnetsPerBlock; i++) x = layers.resnet(x, `${name}.resnets.${i}`);
    if (block + 1 < config.channels.length) {
      x = layers.convolution(upsampleNearest(g, x), `${name}.upsamplers.0.conv`);
    }
    g.observe(`decoder.up${block}`, x, ["pictures", channels, "y", "x"]);
  }
  g.output("picture", layers.head(x, "decoder"), "float32", ["pictures", 3, "picture_height", "picture_width"]);
  return g.build(build);
}
