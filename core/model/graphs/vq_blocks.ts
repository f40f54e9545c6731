/**
 * Blocks of the VQ tokenizer (diffusers' `VQModel`, facts 2.6), on [pictures, channels, height, width].
 *
 * @module
 */
import { convolution, type ConvolutionOptions, groupNorm } from "../../../kernels/onnx/convolution.ts";
import type { GraphBuilder, Value } from "../../../kernels/onnx/graph.ts";
import { attention, linear, parameter } from "../../../kernels/onnx/layers.ts";
import { add, reshape, silu, transpose } from "../../../kernels/onnx/ops.ts";
import type { HostTensor } from "../../engine/types.ts";
import { VQ_PREFIX } from "../layout.ts";
import type { VqConfig } from "../vq_config.ts";
import { type TensorSource, weight } from "../weights.ts";

/** The feed for one picture of `height` x `width` VQ ids; empty unless the graph has that input. */
export function latentShape(config: VqConfig, height: number, width: number): Record<string, HostTensor> {
  if (!config.midBlockAttention) return {};
  const data = BigInt64Array.from([1, config.channels.at(-1) ?? 0, height, width], BigInt);
  return { latent_shape: { dtype: "int64", dims: [4], data } };
}

/** Epsilon of every group norm in the VQ tokenizer. */
const EPSILON = 1e-6;

/**
 * Layers by their bare names (`encoder.conv_in`). With mid-block attention the graph gets one more input, `latent_shape`
 * int64 [4]: pictures, channels of the last block, height and width in VQ ids ({@link latentShape}).
 */
export class VqLayers {
  #g: GraphBuilder;
  #config: VqConfig;
  #source: TensorSource;
  #latentShape: Value | undefined;

  constructor(g: GraphBuilder, config: VqConfig, source: TensorSource) {
    // From the host: the WebGPU provider leaves shape arithmetic to the CPU.
    this.#latentShape = config.midBlockAttention ? g.input("latent_shape", "int64", [4]) : undefined;
    this.#g = g;
    this.#config = config;
    this.#source = source;
  }

  convolution(x: Value, name: string, options: ConvolutionOptions = {}): Value {
    return convolution(this.#g, x, this.#weight(`${name}.weight`), this.#weight(`${name}.bias`), options);
  }

  norm(x: Value, name: string): Value {
    return groupNorm(this.#g, x, this.#weight(`${name}.weight`), this.#weight(`${name}.bias`), {
      groups: this.#config.groups,
      epsilon: EPSILON,
    });
  }

  /** x + conv2(silu(norm2(conv1(silu(norm1(x)))))), with a 1x1 shortcut where the width changes. */
  resnet(x: Value, name: string): Value {
    const middle = this.convolution(silu(this.#g, this.norm(x, `${name}.norm1`)), `${name}.conv1`);
    const branch = this.convolution(silu(this.#g, this.norm(middle, `${name}.norm2`)), `${name}.conv2`);
    const widens = this.#source.dims(`${VQ_PREFIX}${name}.conv_shortcut.weight`) !== undefined;
    return add(this.#g, widens ? this.convolution(x, `${name}.conv_shortcut`) : x, branch);
  }

  /** Resnet, attention where the configuration has it, resnet. */
  middle(x: Value, name: string): Value {
    const first = this.resnet(x, `${name}.resnets.0`);
    const shape = this.#latentShape;
    const attended = shape === undefined ? first : this.#attention(first, `${name}.attentions.0`, shape);
    return this.resnet(attended, `${name}.resnets.1`);
  }

  /** The last norm, SiLU and convolution of either side. */
  head(x: Value, side: "encoder" | "decoder"): Value {
    return this.convolution(silu(this.#g, this.norm(x, `${side}.conv_norm_out`)), `${side}.conv_out`);
  }

  /** One head over all pixels, as wide as the last block, with a residual. */
  #attention(x: Value, name: string, shape: Value): Value {
    const g = this.#g;
    const flat = reshape(g, this.norm(x, `${name}.group_norm`), [0, 0, -1]);
    const tokens = transpose(g, flat, [0, 2, 1]);
    const project = (value: Value, projection: string) =>
      add(
        g,
        linear(g, value, this.#weight(`${name}.${projection}.weight`)),
        parameter(g, this.#weight(`${name}.${projection}.bias`)),
      );
    const attended = attention(g, project(tokens, "to_q"), project(tokens, "to_k"), project(tokens, "to_v"), 1);
    const back = transpose(g, project(attended, "to_out.0"), [0, 2, 1]);
    return add(g, x, g.node("Reshape", [back, shape]));
  }

  #weight(name: string) {
    return weight(this.#source, VQ_PREFIX + name);
  }
}
