/** A model with every part and seeded random weights, small enough to be written and converted in a moment. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ConvertSource } from "../../../core/model/convert/convert.ts";
import { type ModelConfig, parseConfig } from "../../../core/model/config.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { createTokenizer } from "../../../core/model/tokenizer.ts";
import type { TensorSource } from "../../../core/model/weights.ts";

export const SMALL_CONFIG = {
  d_model: 64,
  d_model_gen: 32,
  n_heads: 2,
  n_layers: 3,
  dual_tower_layers: 0,
  mlp_hidden_size: 96,
  mlp_hidden_size_gen: 64,
  vocab_size: 2466,
  rope_theta: 100,
  rms_norm_eps: 1e-5,
  mask_token_id: 1,
  eos_token_id: 2,
  max_sequence_length: 256,
  tokenizer_model_max_length: 256,
  vq_codes: 40,
  loc_tokens: 9,
  native_resolution: 128,
  vision_config: {
    image_size: 28,
    patch_size: 7,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 2,
  },
};

export const SMALL_VQ = {
  block_out_channels: [8, 8, 8, 16, 16],
  down_block_types: Array(5).fill("DownEncoderBlock2D"),
  up_block_types: Array(5).fill("UpDecoderBlock2D"),
  norm_num_groups: 4,
  latent_channels: 8,
  vq_embed_dim: 8,
  num_vq_embeddings: 40,
  mid_block_add_attention: false,
};

export function smallConfig(keys: Record<string, unknown> = {}): ModelConfig {
  return parseConfig({ ...SMALL_CONFIG, ...keys }, SMALL_VQ);
}

/** Numbers that depend on the tensor's name alone; norms about 1, the rest as small as their rows are long. */
export function randomWeights(config: ModelConfig): TensorSource {
  const layout = modelLayout(config);
  const dimsOf = (name: string) => layout.get(name)?.dims;
  const read = (name: string): Float32Array => {
    const dims = dimsOf(name);
    if (dims === undefined) throw new Error(`no ${name}`);
    let state = createHash("sha256").update(name).digest().readUInt32LE();
    const count = dims.reduce((a, b) => a * b, 1);
    const fanIn = count / (dims[0] ?? 1);
    return Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const value = state / 2 ** 31 - 1;
      return dims.length === 1 ? (name.endsWith("bias") ? value / 10 : 1 + value / 4) : value * 1.7 / Math.sqrt(fanIn);
    });
  };
  return {
    dims: dimsOf,
    read: (name) => Promise.resolve(read(name)),
    readRows(name, first, count) {
      const values = read(name);
      const row = values.length / (dimsOf(name)?.[0] ?? 1);
      return Promise.resolve(values.slice(first * row, (first + count) * row));
    },
  };
}

const tokenizer = () => readFileSync(new URL("../../../models/scenes/tokenizer.json", import.meta.url));
export const smallTokenizer = () => createTokenizer(tokenizer().toString(), "{}");
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Configuration and tokenizer of a folder. */
export function smallFiles(keys: Record<string, unknown> = {}): ReadonlyMap<string, Uint8Array> {
  return new Map<string, Uint8Array>([
    ["config.json", json({ ...SMALL_CONFIG, ...keys })],
    ["vqvae/config.json", json(SMALL_VQ)],
    ["tokenizer.json", tokenizer()],
  ]);
}

export function smallSource(keys: Record<string, unknown> = {}): ConvertSource {
  const config = smallConfig(keys);
  return {
    config,
    weights: randomWeights(config),
    files: smallFiles(keys),
    locations: () => ({ first: smallTokenizer().id("<LOC_0>"), count: config.locTokens }),
    fingerprint: () => Promise.resolve("test:small"),
  };
}

/** The model as a folder in the published layout, fp32. */
export async function writeSmallFolder(path: string, keys: Record<string, unknown> = {}): Promise<void> {
  const { config, weights, files } = smallSource(keys);
  mkdirSync(`${path}/vqvae`, { recursive: true });
  for (const [name, bytes] of files) writeFileSync(`${path}/${name}`, bytes);
  const header: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dims }] of modelLayout(config)) {
    const data = new Uint8Array((await weights.read(name)).buffer as ArrayBuffer);
    header[name] = { dtype: "F32", shape: dims, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
    parts.push(data);
  }
  const text = json(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.byteLength), true);
  writeFileSync(
    `${path}/model.safetensors`,
    new Uint8Array(await new Blob([length, text, ...parts as BlobPart[]]).arrayBuffer()),
  );
}
