/**
 * The published `config.json` (facts 1.1) with our optional keys, as one typed object. A key that would change the
 * network in a way that no graph here computes is refused by name.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { layers, size } from "./config_sizes.ts";
import { parseVqConfig, type VqConfig } from "./vq_config.ts";
import { pinpointsSchema, type VisionConfig, visionConfig, visionSchema } from "./vision_config.ts";

/** Sizes and switches of the network. Widths are in components, positions in tokens. */
export interface ModelConfig {
  /** Width of the understanding branch (text, SigLIP tokens). */
  readonly dModel: number;
  /** Width of the generation branch (VQ tokens). */
  readonly dModelGen: number;
  readonly heads: number;
  readonly headSize: number;
  readonly layers: number;
  /** The first `jointLayers` layers attend over both kinds of tokens: `dual_tower_layers` + 1 (facts 1.3). */
  readonly jointLayers: number;
  readonly mlpHidden: number;
  readonly mlpHiddenGen: number;
  /** Rows of the text embedding and of the LM head. */
  readonly embeddingSize: number;
  readonly ropeTheta: number;
  readonly rmsNormEpsilon: number;
  /** Most positions of one sequence; the rotary tables have this many rows. */
  readonly maxPositions: number;
  /** Text mask; its embedding stands for every token of an unconditional prompt. */
  readonly maskTokenId: number;
  readonly endTokenId: number;
  /** Whether prompt tokens see the answer (`full`, the published checkpoint) or only themselves (`prefix`). */
  readonly promptAttention: "full" | "prefix";
  /** VQ codes; ids below this are pictures. */
  readonly vqCodes: number;
  /** VQ id of a masked position: vqCodes + 1. */
  readonly vqMaskId: number;
  /** Rows of `gen_embedding.0`: vqCodes + 256. */
  readonly vqTableRows: number;
  readonly locTokens: number;
  /** Side of the native picture, in pixels. */
  readonly nativeResolution: number;
  /** Side of the native grid of VQ ids: nativeResolution / vq.factor. */
  readonly grid: number;
  readonly vq: VqConfig;
  /** Undefined if `config.json` names no vision tower; such a model cannot see. */
  readonly vision: VisionConfig | undefined;
}

const schema = z.object({
  d_model: size,
  d_model_gen: size,
  n_heads: size,
  n_layers: layers,
  mlp_hidden_size: size,
  mlp_hidden_size_gen: size,
  dual_tower_layers: z.int().nonnegative(),
  vocab_size: size,
  embedding_size: size.optional(),
  rope_theta: z.number().positive(),
  rms_norm_eps: z.number().positive(),
  mask_token_id: z.int().nonnegative(),
  eos_token_id: z.int().nonnegative(),
  max_sequence_length: size.default(4096),
  tokenizer_model_max_length: size.default(8192),
  prompt_attention: z.enum(["full", "prefix"]).default("full"),
  vq_codes: size.default(8192),
  loc_tokens: size.default(1025),
  native_resolution: size.default(1024),
  mm_vision_tower: z.string().nullish(),
  mm_vision_select_layer: z.int().negative().default(-2),
  vision_config: visionSchema.optional(),
  image_grid_pinpoints: pinpointsSchema.optional(),
});

/** Keys that may be absent; if present they must have one of these values. */
const FIXED: Readonly<Record<string, readonly unknown[]>> = {
  activation_type: ["silu"],
  alibi: [false],
  attention_layer_norm: [false],
  bias_for_layer_norm: [false],
  block_group_size: [1],
  block_type: ["llama"],
  downsample: [true],
  dual_tower: [true],
  extra_gen_dit: [false, null],
  gen_mlp_type: ["dit2"],
  include_bias: [false],
  include_qkv_bias: [false],
  input_emb_norm: [false],
  layer_norm_type: ["rms"],
  layer_norm_with_affine: [true],
  multi_query_attention: [false, null],
  rope: [true],
  rope_scaling: [null],
  scale_logits: [false],
  tie_word_embeddings: [false],
  unified_gen_enc: [false, null],
  weight_tying: [false],
};

function invalid(file: string, problem: string, fix: string, param?: string): UnmaskError {
  const details = { code: "config_invalid", message: `${file}: ${problem}`, fix };
  return new UnmaskError(param === undefined ? details : { ...details, param });
}

/**
 * Reads a parsed `config.json` and a parsed `vqvae/config.json`.
 *
 * @throws {UnmaskError} `config_invalid` for a missing or wrong key, `config_unsupported` for a feature that is not
 * built.
 */
export function parseConfig(json: unknown, vqJson: unknown, file = "config.json"): ModelConfig {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const key = issue?.path.join(".") ?? "";
    throw invalid(file, `${key || "the file"}: ${issue?.message}`, "use the published config.json of this model", key);
  }
  const raw: Record<string, unknown> = { ...(json as object) };
  for (const [key, allowed] of Object.entries(FIXED)) {
    if (key in raw && !allowed.includes(raw[key])) throw unsupported(file, key, raw[key], allowed[0]);
  }
  const c = parsed.data;
  if ("n_kv_heads" in raw && raw.n_kv_heads !== c.n_heads) {
    throw unsupported(file, "n_kv_heads", raw.n_kv_heads, c.n_heads);
  }
  const vq = parseVqConfig(vqJson);
  if (c.d_model % (2 * c.n_heads) !== 0) {
    throw invalid(
      file,
      `d_model ${c.d_model} does not give an even head size for ${c.n_heads} heads`,
      "use a multiple of 2 n_heads",
    );
  }
  if (c.d_model_gen > c.d_model) {
    throw invalid(
      file,
      `d_model_gen ${c.d_model_gen} is larger than d_model ${c.d_model}`,
      "use a smaller d_model_gen",
      "d_model_gen",
    );
  }
  if (c.dual_tower_layers >= c.n_layers) {
    throw invalid(
      file,
      `dual_tower_layers ${c.dual_tower_layers} leaves no layer of ${c.n_layers}`,
      "use less than n_layers",
      "dual_tower_layers",
    );
  }
  if (vq.codes !== c.vq_codes) {
    throw invalid(
      file,
      `vq_codes is ${c.vq_codes}, vqvae/config.json has num_vq_embeddings ${vq.codes}`,
      "make them equal",
      "vq_codes",
    );
  }
  if (c.native_resolution % (2 * vq.factor) !== 0) {
    throw invalid(
      file,
      `native_resolution ${c.native_resolution} is no multiple of ${2 * vq.factor}`,
      "use whole cells",
      "native_resolution",
    );
  }
  const { vision_config: vision, image_grid_pinpoints: pinpoints } = c;
  const tower = vision ?? visionSchema.parse({});
  if (tower.num_hidden_layers + 1 + c.mm_vision_select_layer < 1) {
    throw invalid(
      file,
      `mm_vision_select_layer ${c.mm_vision_select_layer} leaves no layer of ${tower.num_hidden_layers}`,
      "use -2, as published",
      "mm_vision_select_layer",
    );
  }
  const side = tower.image_size;
  if (pinpoints?.flat().some((pixels) => pixels % side !== 0)) {
    throw invalid(
      file,
      `image_grid_pinpoints are no multiples of the tower's ${side} pixels`,
      "use whole views",
      "image_grid_pinpoints",
    );
  }
  return {
    dModel: c.d_model,
    dModelGen: c.d_model_gen,
    heads: c.n_heads,
    headSize: c.d_model / c.n_heads,
    layers: c.n_layers,
    jointLayers: c.dual_tower_layers + 1,
    mlpHidden: c.mlp_hidden_size,
    mlpHiddenGen: c.mlp_hidden_size_gen,
    embeddingSize: c.embedding_size ?? c.vocab_size,
    ropeTheta: c.rope_theta,
    rmsNormEpsilon: c.rms_norm_eps,
    maxPositions: Math.max(c.max_sequence_length, c.tokenizer_model_max_length),
    maskTokenId: c.mask_token_id,
    endTokenId: c.eos_token_id,
    promptAttention: c.prompt_attention,
    vqCodes: c.vq_codes,
    vqMaskId: c.vq_codes + 1,
    vqTableRows: c.vq_codes + 256,
    locTokens: c.loc_tokens,
    nativeResolution: c.native_resolution,
    grid: c.native_resolution / vq.factor,
    vq,
    vision: c.vision_config !== undefined || c.mm_vision_tower
      ? visionConfig(
        tower,
        c.mm_vision_select_layer,
        c.image_grid_pinpoints,
      )
      : undefined,
  };
}

function unsupported(file: string, key: string, found: unknown, expected: unknown): UnmaskError {
  return new UnmaskError({
    code: "config_unsupported",
    message: `${file}: ${key} is ${JSON.stringify(found)}; only ${JSON.stringify(expected)} is built`,
    fix: "use a checkpoint of the published architecture",
    param: key,
  });
}
