/**
 * The published checkpoint's `config.json` and `vqvae/config.json`, as far as they describe the network (facts 1.1, 2.6).
 *
 * @module
 */

export const PUBLISHED_CONFIG = {
  activation_type: "silu",
  alibi: false,
  attention_layer_norm: false,
  bias_for_layer_norm: false,
  block_group_size: 1,
  block_type: "llama",
  d_model: 4096,
  d_model_gen: 2048,
  downsample: true,
  dual_tower: true,
  dual_tower_layers: 16,
  embedding_size: 127378,
  eos_token_id: 126081,
  gen_mlp_type: "dit2",
  include_bias: false,
  include_qkv_bias: false,
  input_emb_norm: false,
  layer_norm_type: "rms",
  layer_norm_with_affine: true,
  mask_token_id: 126336,
  max_sequence_length: 4096,
  mlp_hidden_size: 12288,
  mlp_hidden_size_gen: 8192,
  mm_vision_select_layer: -2,
  mm_vision_tower: "google/siglip-so400m-patch14-384",
  n_heads: 32,
  n_kv_heads: 32,
  n_layers: 32,
  rms_norm_eps: 1e-5,
  rope: true,
  rope_theta: 500000,
  scale_logits: false,
  tie_word_embeddings: false,
  tokenizer_model_max_length: 8192,
  vocab_size: 127378,
  weight_tying: false,
} as const;

/** The checkpoint's own file could not be read; these are the sizes that fit the published module tree (facts 2.6). */
export const PUBLISHED_VQ_CONFIG = {
  block_out_channels: [128, 256, 256, 512, 768],
  down_block_types: Array.from({ length: 5 }, () => "DownEncoderBlock2D"),
  up_block_types: Array.from({ length: 5 }, () => "UpDecoderBlock2D"),
  latent_channels: 64,
  layers_per_block: 2,
  mid_block_add_attention: false,
  norm_num_groups: 32,
  num_vq_embeddings: 8192,
  vq_embed_dim: 64,
} as const;
