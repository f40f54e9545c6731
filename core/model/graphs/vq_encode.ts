/**
 * A picture to VQ ids (facts 2.6): encoder, quant_conv, the nearest code.
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { linear, parameter } from "../../../kernels/onnx/layers.ts";
import { add, argmax, matmul, transpose } from "../../../kernels/onnx/ops.ts";
import { VQ_PREFIX } from "../layout.ts";
import type { VqConfig } from "../vq_config.ts";
import { type TensorSource, weight } from "../weights.ts";
import { VqLayers } from "./vq_blocks.ts";

/**
 * Input: `picture` fp32 [pictures, 3, height, width], values 0 to 1; sides are multiples of `factor`.
 * Output: `ids` int64 [pictures, height / factor, width / factor].
 *
 * `observe`: `encoder.down{i}`, `encoder.mid`, `latents` (after quant_conv).
 */
export function vqEncodeGraph(
  config: VqConfig,
  source: TensorSource,
  observe: readonly string[] = [],
  build: BuildOptions = {},
): Promise<BuiltGraph> {
  const g = new GraphBuilder("vq_encode", observe);
  const layers = new VqLayers(g, config, source);
  const shape = (channels: number) => ["pictures", channels, "y", "x"];
  let x = g.input("picture", "float32", ["pictures", 3, "picture_height", "picture_width"]);
  x = layers.convolution(x, "encoder.conv_in");
  for (const [block, channels] of config.channels.entries()) {
    const name = `encoder.down_blocks.${block}`;
    for (let i = 0; i < config.resnetsPerBlock; i++) x = layers.resnet(x, `${name}.resnets.${i}`);
    if (block + 1 < config.channels.length) {
      // Zeros at the right and at the bottom only.
      x = layers.convolution(x, `${name}.downsamplers.0.conv`, { stride: 2, pads: [0, 0, 1, 1] });
    }
    g.observe(`encoder.down${block}`, x, shape(channels));
  }
  x = g.observe("encoder.mid", layers.middle(x, "encoder.mid_block"), shape(config.channels.at(-1) ?? 0));
  const latents = layers.convolution(layers.head(x, "encoder"), "quant_conv");
  g.observe("latents", latents, shape(config.embeddingDimension));
  g.output("ids", nearest(g, config, source, latents), "int64", ["pictures", "height", "width"]);
  return g.build(build);
}

/** The code with the least |z - e|^2, which is the one with the largest z.e - |e|^2 / 2. */
function nearest(g: GraphBuilder, config: VqConfig, source: TensorSource, latents: ReturnType<typeof argmax>) {
  const codes = weight(source, `${VQ_PREFIX}quantize.embedding.weight`);
  const d = config.embeddingDimension;
  // Distances are to the codes as the decoder has them, fp16 in a conversion, and always fp32 themselves.
  const stored = (value: number) => codes.format === undefined ? value : Math.f16round(value);
  const bias = g.initializer(`${codes.name}:norms`, "float32", [config.codes], async () => {
    const values = await codes.load();
    return Float32Array.from({ length: config.codes }, (_, code) => {
      let squares = 0;
      for (let i = 0; i < d; i++) squares += stored(values[code * d + i] ?? 0) ** 2;
      return -squares / 2;
    });
  });
  const tokens = transpose(g, latents, [0, 2, 3, 1]);
  // One copy of the codes in a folder: the decoder's.
  const products = codes.format === undefined
    ? linear(g, tokens, codes)
    : matmul(g, tokens, transpose(g, parameter(g, codes), [1, 0]));
  return argmax(g, add(g, products, bias));
}
