/**
 * Sizes of the SigLIP tower (facts 2.4). The published `config.json` only names the tower; other sizes stand in our
 * optional key `vision_config`, in SigLIP's own words.
 *
 * @module
 */
import { z } from "zod";
import { layers, size } from "./config_sizes.ts";

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
  /** Sizes [width, height] in pixels that a picture may be cut to views from, multiples of `imageSize`. */
  readonly pinpoints: readonly (readonly [width: number, height: number])[];
}

/** Patches along a view's side. */
export function patchesAcross({ imageSize, patchSize }: VisionConfig): number {
  return Math.floor(imageSize / patchSize);
}

/** Pooled cells along a view's side: the pooling is a 2x2 convolution of stride 2 without padding. */
export function cellsAcross(config: VisionConfig): number {
  return Math.floor(patchesAcross(config) / 2);
}

/** The published tower, google/siglip-so400m-patch14-384, where `config.json` does not say otherwise. */
export const visionSchema = z.object({
  image_size: size.default(384),
  patch_size: size.default(14),
  hidden_size: size.default(1152),
  intermediate_size: size.default(4304),
  num_hidden_layers: layers.default(27),
  num_attention_heads: size.default(16),
  hidden_act: z.literal("gelu_pytorch_tanh").default("gelu_pytorch_tanh"),
  layer_norm_eps: z.number().positive().default(1e-6),
});

/** Published `image_grid_pinpoints`, in views. */
const PINPOINT_VIEWS = [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]] as const;

export const pinpointsSchema = z.array(z.tuple([size, size])).min(1);

/**
 * @param selectLayer -2 keeps all layers but the last
 * @param pinpoints `image_grid_pinpoints`; by default the published ones, scaled to this tower's views
 */
export function visionConfig(
  values: z.infer<typeof visionSchema>,
  selectLayer: number,
  pinpoints?: z.infer<typeof pinpointsSchema>,
): VisionConfig {
  return {
    imageSize: values.image_size,
    patchSize: values.patch_size,
    hidden: values.hidden_size,
    mlpHidden: values.intermediate_size,
    heads: values.num_attention_heads,
    layers: values.num_hidden_layers + 1 + selectLayer,
    layerNormEpsilon: values.layer_norm_eps,
    pinpoints: pinpoints ?? PINPOINT_VIEWS.map(([x, y]) => [x * values.image_size, y * values.image_size] as const),
  };
}
