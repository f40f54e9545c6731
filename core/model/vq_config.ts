/**
 * The VQ tokenizer's `vqvae/config.json`, as diffusers writes it for `VQModel` (facts 2.6).
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { layers, size } from "./config_sizes.ts";

/** Sizes of the VQ tokenizer. */
export interface VqConfig {
  /** Channels by block, from the picture inwards. */
  readonly channels: readonly number[];
  /** Resnets of an encoder block; a decoder block has one more. */
  readonly resnetsPerBlock: number;
  readonly latentChannels: number;
  /** Components of a code. */
  readonly embeddingDimension: number;
  readonly codes: number;
  readonly groups: number;
  readonly midBlockAttention: boolean;
  /** Pixels a VQ id covers on a side: 2 ^ (blocks - 1). */
  readonly factor: number;
}

/** Absent keys have the defaults of diffusers' class; every block type must be the plain one. */
const schema = z.object({
  in_channels: z.literal(3).default(3),
  out_channels: z.literal(3).default(3),
  down_block_types: z.array(z.literal("DownEncoderBlock2D")),
  up_block_types: z.array(z.literal("UpDecoderBlock2D")),
  block_out_channels: z.array(size).min(1),
  layers_per_block: layers.default(1),
  act_fn: z.literal("silu").default("silu"),
  latent_channels: size.default(3),
  num_vq_embeddings: size.default(256),
  norm_num_groups: size.default(32),
  vq_embed_dim: size.nullish(),
  norm_type: z.literal("group").default("group"),
  mid_block_add_attention: z.boolean().default(true),
  lookup_from_codebook: z.boolean().default(false),
  force_upcast: z.boolean().optional(),
});

/** @throws {UnmaskError} `config_invalid`, naming the key. */
export function parseVqConfig(json: unknown, file = "vqvae/config.json"): VqConfig {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const key = issue?.path.join(".") ?? "";
    throw new UnmaskError({
      code: "config_invalid",
      message: `${file}: ${key || "the file"}: ${issue?.message}`,
      fix: "use the config.json of a plain VQModel (group norm, SiLU, DownEncoderBlock2D and UpDecoderBlock2D)",
      param: key,
    });
  }
  const c = parsed.data;
  const blocks = c.block_out_channels.length;
  const uneven = c.block_out_channels.find((channels) => channels % c.norm_num_groups !== 0);
  const problem = c.down_block_types.length !== blocks || c.up_block_types.length !== blocks
    ? `block_out_channels names ${blocks} blocks, the block types ${c.down_block_types.length} and ${c.up_block_types.length}`
    : uneven !== undefined
    ? `${uneven} channels do not divide into ${c.norm_num_groups} groups`
    : undefined;
  if (problem !== undefined) {
    throw new UnmaskError({
      code: "config_invalid",
      message: `${file}: ${problem}`,
      fix: "correct block_out_channels",
    });
  }
  return {
    channels: c.block_out_channels,
    resnetsPerBlock: c.layers_per_block,
    latentChannels: c.latent_channels,
    embeddingDimension: c.vq_embed_dim ?? c.latent_channels,
    codes: c.num_vq_embeddings,
    groups: c.norm_num_groups,
    midBlockAttention: c.mid_block_add_attention,
    factor: 2 ** (blocks - 1),
  };
}
