import { expect, test } from "vitest";
import { parseConfig } from "../../../core/model/config.ts";
import { parityConfig, readJson } from "./parity.ts";

const base = () => readJson("config.json");
const vq = () => readJson("vqvae_config.json");

test("the published keys and our defaults", () => {
  expect(parityConfig()).toMatchObject({
    jointLayers: 3,
    headSize: 16,
    vqMaskId: 8193,
    vqTableRows: 8448,
    grid: 64,
    promptAttention: "full",
    vision: { layers: 3, hidden: 32 },
    vq: { factor: 16, groups: 4, midBlockAttention: false },
  });
});

test.each<[Record<string, unknown>, string, string]>([
  [{ include_qkv_bias: true }, "config_unsupported", "include_qkv_bias is true; only false"],
  [{ n_kv_heads: 2 }, "config_unsupported", "n_kv_heads is 2; only 4"],
  [{ extra_gen_dit: true }, "config_unsupported", "extra_gen_dit"],
  [{ downsample: false }, "config_unsupported", "downsample"],
  [{ d_model: undefined }, "config_invalid", "d_model"],
  [{ n_heads: 0 }, "config_invalid", "n_heads"],
  [{ d_model: 66 }, "config_invalid", "even head size"],
  [{ dual_tower_layers: 6 }, "config_invalid", "leaves no layer"],
  // Not listed layer by layer until memory ends.
  [{ n_layers: 1e9 }, "config_invalid", "config.json: n_layers: Too big"],
  [{ vision_config: { num_hidden_layers: 1e9 } }, "config_invalid", "vision_config.num_hidden_layers: Too big"],
  [
    { mm_vision_select_layer: -5, vision_config: { num_hidden_layers: 4 } },
    "config_invalid",
    "mm_vision_select_layer -5 leaves no layer of 4",
  ],
  [{ vq_codes: 4096 }, "config_invalid", "num_vq_embeddings 8192"],
  [{ native_resolution: 100 }, "config_invalid", "native_resolution 100"],
])("%o is refused", (keys, code, words) => {
  const act = () => parseConfig({ ...base(), ...keys }, vq());
  expect(act).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
});

test.each<[Record<string, unknown>, string]>([
  [{ norm_type: "spatial" }, "norm_type"],
  [{ norm_num_groups: 3 }, "8 channels do not divide into 3 groups"],
  [{ block_out_channels: [8, 16] }, "names 2 blocks"],
  [{ down_block_types: ["AttnDownEncoderBlock2D"] }, "down_block_types"],
  [{ layers_per_block: 1e9 }, "layers_per_block: Too big"],
])("vqvae %o is refused", (keys, words) => {
  const act = () => parseConfig(base(), { ...vq(), ...keys });
  expect(act).toThrow(expect.objectContaining({ code: "config_invalid", message: expect.stringContaining(words) }));
});
