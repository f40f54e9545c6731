/**
 * Sizes of the SigLIP tower (facts 2.4). The published `config.json` only names the tower; other sizes stand in our
 * optional key `vision_config`, in SigLIP's own words.
 *
 * @module
 */
import { z } from "zod";

/** Sizes of the vision tower, its pooling and the projector's input. */
export interface VisionConfig {
  /** Side of a view, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly hidden: number;
  readonly mlpHidden: number;
  readonly heads: number;
  /** Layers that run: the last one and the pooling head are never built. */
  readonly layers: number;
  readonly layerNormEpsilon: number;
}

const size = z.int().positive();

/** The published tower, google/siglip-so400m-patch14-384, where `config.json` does not say otherwise. */
export const visionSchema = z.object({
  image_size: size.default(384),
  patch_size: size.default(14),
  hidden_size: size.default(1152),
  intermediate_size: size.default(4304),
  num_hidden_layers: size.default(27),
  num_attention_heads: size.default(16),
  hidden_act: z.literal("gelu_pytorch_tanh").default("gelu_pytorch_tanh"),
  layer_norm_eps: z.number().positive().default(1e-6),
});

/** `selectLayer`: -2 keeps all layers but the last. */
export function visionConfig(values: z.infer<typeof visionSchema>, selectLayer: number): VisionConfig {
  return {
    imageSize: values.image_size,
    patchSize: values.patch_size,
    hidden: values.hidden_size,
    mlpHidden: values.intermediate_size,
    heads: values.num_attention_heads,
    layers: values.num_hidden_layers + 1 + selectLayer,
    layerNormEpsilon: values.layer_norm_eps,
  };
}
