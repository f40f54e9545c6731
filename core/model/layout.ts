/**
 * Every tensor of a model folder: published name, shape, and the part of the model that it belongs to (facts 2).
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";
import type { VqConfig } from "./vq_config.ts";
import type { VisionConfig } from "./vision_config.ts";

/** What can be loaded apart. Drawing needs language, generation and vq; understanding language, head and vision. */
export type Part = "language" | "head" | "generation" | "vision" | "vq";

export interface ExpectedTensor {
  readonly dims: readonly number[];
  readonly part: Part;
  /** May be absent: published, but used by nothing. */
  readonly optional?: boolean;
}

type Layout = Map<string, ExpectedTensor>;

/** Prefix of the VQ tokenizer's tensors in the main shards; in `vqvae/` they have bare names. */
export const VQ_PREFIX = "model.vqvae.";

/** All tensors that a folder with this configuration may hold. */
export function modelLayout(config: ModelConfig): ReadonlyMap<string, ExpectedTensor> {
  const layout: Layout = new Map();
  addLanguage(layout, config);
  addGeneration(layout, config);
  if (config.vision !== undefined) addVision(layout, config, config.vision);
  addVq(layout, config.vq);
  return layout;
}

function addLanguage(layout: Layout, { dModel, mlpHidden, embeddingSize, layers }: ModelConfig): void {
  const put = (name: string, dims: readonly number[], part: Part = "language") =>
    layout.set(`model.transformer.${name}.weight`, { dims, part });
  put("wte", [embeddingSize, dModel]);
  put("ln_f", [dModel]);
  put("ff_out", [embeddingSize, dModel], "head");
  for (let i = 0; i < layers; i++) {
    put(`blocks.${i}.attn_norm`, [dModel]);
    for (const projection of ["q_proj", "k_proj", "v_proj", "attn_out"]) {
      put(`blocks.${i}.${projection}`, [dModel, dModel]);
    }
    put(`blocks.${i}.ff_norm`, [dModel]);
    put(`blocks.${i}.ff_proj`, [mlpHidden, dModel]);
    put(`blocks.${i}.up_proj`, [mlpHidden, dModel]);
    put(`blocks.${i}.ff_out`, [dModel, mlpHidden]);
  }
}

function addGeneration(layout: Layout, { dModel, dModelGen: d, mlpHiddenGen, layers, ...config }: ModelConfig): void {
  const put = (name: string, dims: readonly number[]) =>
    layout.set(`model.${name}.weight`, { dims, part: "generation" });
  for (let i = 0; i < layers; i++) {
    const block = `transformer.blocks.${i}`;
    put(`${block}.attn_norm_vision`, [d]);
    for (const projection of ["q_proj", "k_proj", "v_proj"]) put(`${block}.${projection}_vision`, [dModel, d]);
    put(`${block}.ff_norm_vision`, [d]);
    put(`${block}.ff_proj_vision`, [mlpHiddenGen, d]);
    put(`${block}.up_proj_vision`, [mlpHiddenGen, d]);
    put(`${block}.ff_out_vision`, [d, mlpHiddenGen]);
  }
  put("gen_embedding.0", [config.vqTableRows, d]);
  put("gen_embedding.1", [d]);
  put("gen_embedding.2", [d, d]);
  put("downsample_gen.downsample.norm", [d]);
  put("downsample_gen.downsample.conv", [d, d, 2, 2]);
  put("gen_embedding_2.0", [d]);
  put("gen_embedding_2.1", [d, d]);
  put("upsample_gen.upsample.norm", [d]);
  put("upsample_gen.upsample.conv", [d, d, 2, 2]);
  put("gen_predictor_2.0", [d]);
  put("gen_predictor_2.1", [d, d]);
  put("gen_predictor.0", [d, d]);
  put("gen_predictor.1", [d]);
  put("gen_predictor.2", [config.vqCodes, d]);
}

function addVision(layout: Layout, { dModel }: ModelConfig, vision: VisionConfig): void {
  const { hidden, mlpHidden, patchSize } = vision;
  const put = (name: string, weight: readonly number[], bias: readonly number[], optional = false) => {
    layout.set(`${name}.weight`, { dims: weight, part: "vision", optional });
    layout.set(`${name}.bias`, { dims: bias, part: "vision", optional });
  };
  const tower = "model.vision_tower.vision_tower.vision_model";
  put(`${tower}.embeddings.patch_embedding`, [hidden, 3, patchSize, patchSize], [hidden]);
  const patches = Math.floor(vision.imageSize / patchSize) ** 2;
  layout.set(`${tower}.embeddings.position_embedding.weight`, { dims: [patches, hidden], part: "vision" });
  for (let i = 0; i < vision.layers; i++) {
    const layer = `${tower}.encoder.layers.${i}`;
    for (const norm of ["layer_norm1", "layer_norm2"]) put(`${layer}.${norm}`, [hidden], [hidden]);
    for (const projection of ["q_proj", "k_proj", "v_proj", "out_proj"]) {
      put(`${layer}.self_attn.${projection}`, [hidden, hidden], [hidden]);
    }
    put(`${layer}.mlp.fc1`, [mlpHidden, hidden], [mlpHidden]);
    put(`${layer}.mlp.fc2`, [hidden, mlpHidden], [hidden]);
  }
  put(`${tower}.post_layernorm`, [hidden], [hidden], true);
  put("model.vision_resampler.pool", [hidden, hidden, 2, 2], [hidden]);
  put("model.mm_projector.0", [dModel, hidden], [dModel]);
  put("model.mm_projector.2", [dModel, dModel], [dModel]);
  layout.set("model.image_newline", { dims: [dModel], part: "vision" });
}

function addVq(layout: Layout, vq: VqConfig): void {
  const put = (name: string, weight: readonly number[], bias = weight[0] ?? 0) => {
    layout.set(`${VQ_PREFIX}${name}.weight`, { dims: weight, part: "vq" });
    layout.set(`${VQ_PREFIX}${name}.bias`, { dims: [bias], part: "vq" });
  };
  const convolution = (name: string, from: number, to: number, kernel = 3) => put(name, [to, from, kernel, kernel]);
  const resnet = (name: string, from: number, to: number) => {
    put(`${name}.norm1`, [from]);
    convolution(`${name}.conv1`, from, to);
    put(`${name}.norm2`, [to]);
    convolution(`${name}.conv2`, to, to);
    if (from !== to) convolution(`${name}.conv_shortcut`, from, to, 1);
  };
  const { channels, latentChannels, embeddingDimension } = vq;
  const first = channels[0] ?? 0;
  const last = channels.at(-1) ?? 0;
  const middle = (side: string) => {
    resnet(`${side}.mid_block.resnets.0`, last, last);
    resnet(`${side}.mid_block.resnets.1`, last, last);
    if (!vq.midBlockAttention) return;
    put(`${side}.mid_block.attentions.0.group_norm`, [last]);
    for (const projection of ["to_q", "to_k", "to_v", "to_out.0"]) {
      put(`${side}.mid_block.attentions.0.${projection}`, [last, last]);
    }
  };
  const blocks = (side: string, kind: "down" | "up", widths: readonly number[], resnets: number) => {
    for (const [block, to] of widths.entries()) {
      const from = widths[Math.max(block - 1, 0)] ?? to;
      const name = `${side}.${kind}_blocks.${block}`;
      for (let i = 0; i < resnets; i++) resnet(`${name}.resnets.${i}`, i === 0 ? from : to, to);
      if (block + 1 < widths.length) convolution(`${name}.${kind}samplers.0.conv`, to, to);
    }
  };
  convolution("encoder.conv_in", 3, first);
  blocks("encoder", "down", channels, vq.resnetsPerBlock);
  middle("encoder");
  put("encoder.conv_norm_out", [last]);
  convolution("encoder.conv_out", last, latentChannels);
  convolution("quant_conv", latentChannels, embeddingDimension, 1);
  layout.set(`${VQ_PREFIX}quantize.embedding.weight`, { dims: [vq.codes, embeddingDimension], part: "vq" });
  convolution("post_quant_conv", embeddingDimension, latentChannels, 1);
  convolution("decoder.conv_in", latentChannels, last);
  middle("decoder");
  blocks("decoder", "up", channels.toReversed(), vq.resnetsPerBlock + 1);
  put("decoder.conv_norm_out", [first]);
  convolution("decoder.conv_out", first, 3);
}
