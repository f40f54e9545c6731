"""The configuration of scenes: published keys with small sizes (facts 1.1), and ours (docs/design.md, "The model").

`rope_theta` 48 gives a pair of channels the frequency 48^(-2/32) = 2 pi / 8.003: the period of a row of gen tokens at
the native resolution, so that 1-D positions tell columns apart (at 100, no pair comes near it)."""

CONFIG = {
    "architectures": ["LlavaLLaDAModelLM"], "model_type": "llava_llada", "block_type": "llama",
    "d_model": 256, "d_model_gen": 192, "n_layers": 8, "n_heads": 4, "n_kv_heads": 4,
    "mlp_hidden_size": 768, "mlp_hidden_size_gen": 512, "dual_tower": True, "dual_tower_layers": 3,
    "gen_mlp_type": "dit2", "downsample": True, "enc_use_image_branch": True, "activation_type": "silu",
    "vocab_size": 2466, "embedding_size": 2466, "rope": True, "rope_theta": 48.0, "rope_full_precision": True,
    "layer_norm_type": "rms", "rms_norm_eps": 1e-5, "layer_norm_with_affine": True, "attention_layer_norm": False,
    "include_bias": False, "include_qkv_bias": False, "bias_for_layer_norm": False, "weight_tying": False,
    "scale_logits": False, "alibi": False, "max_sequence_length": 4096, "image_aspect_ratio": "anyres",
    "prompt_attention": "prefix", "vq_codes": 17520, "loc_tokens": 1025, "native_resolution": 256,
}

# The tower's picture is the native size and its patch one place of the world's grid; a picture is its base view and one
# tile, 36 tokens in all.
VISION = {
    "image_size": 256, "patch_size": 32, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 5,
    "num_attention_heads": 4, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
}
PINPOINTS = [[256, 256]]
