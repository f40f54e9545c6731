/**
 * A checkpoint that exists nowhere: the published architecture, at its own size or divided, with seeded numbers of a
 * plausible scale for every tensor, made when they are read.
 *
 * @module
 */
import { type ModelConfig, parseConfig } from "../../core/model/config.ts";
import { modelLayout } from "../../core/model/layout.ts";
import { PUBLISHED_CONFIG, PUBLISHED_VQ_CONFIG } from "../../core/model/published.ts";
import type { TensorSource } from "../../core/model/weights.ts";

export interface SyntheticSize {
  /** Divides widths, heads, layers, vocabulary and codes: a power of two to 16. */
  readonly scale: number;
  /** Instead of all. Four are one of each kind: joint, last joint, split, last. */
  readonly layers?: number;
}

/** Raw `config.json` and `vqvae/config.json`. */
export function syntheticConfigs({ scale, layers = PUBLISHED_CONFIG.n_layers / scale }: SyntheticSize) {
  const c = PUBLISHED_CONFIG;
  const codes = PUBLISHED_VQ_CONFIG.num_vq_embeddings / scale;
  const rows = Math.ceil(c.embedding_size / scale);
  // The published share of joint layers: 17 of 32, one more than half.
  const config = {
    ...c,
    d_model: c.d_model / scale,
    d_model_gen: c.d_model_gen / scale,
    n_heads: c.n_heads / scale,
    n_kv_heads: c.n_heads / scale,
    n_layers: layers,
    dual_tower_layers: layers === 4 ? 1 : Math.floor(layers / 2) - (layers === 2 ? 1 : 0),
    mlp_hidden_size: c.mlp_hidden_size / scale,
    mlp_hidden_size_gen: c.mlp_hidden_size_gen / scale,
    vocab_size: rows,
    embedding_size: rows,
    mask_token_id: Math.min(c.mask_token_id, rows - 1),
    eos_token_id: Math.min(c.eos_token_id, rows - 2),
    vq_codes: codes,
    // The tower has one size only.
    mm_vision_tower: scale === 1 ? c.mm_vision_tower : null,
  };
  const vq = {
    ...PUBLISHED_VQ_CONFIG,
    block_out_channels: PUBLISHED_VQ_CONFIG.block_out_channels.map((channels) => channels / scale),
    norm_num_groups: PUBLISHED_VQ_CONFIG.norm_num_groups / scale,
    num_vq_embeddings: codes,
  };
  return { config, vq };
}

export function syntheticConfig(size: SyntheticSize): ModelConfig {
  const { config, vq } = syntheticConfigs(size);
  return parseConfig(config, vq);
}

/** Any row of any tensor alone, the same numbers each time. */
export function syntheticWeights(config: ModelConfig, seed: number): TensorSource {
  const layout = modelLayout(config);
  const shape = (name: string) => {
    const dims = layout.get(name)?.dims;
    if (dims === undefined) throw new RangeError(`the layout has no ${name}`);
    const count = dims.reduce((a, b) => a * b, 1);
    return { dims, rows: dims[0] ?? 1, width: count / (dims[0] ?? 1) };
  };
  const read = (name: string, first: number, count: number): Float32Array => {
    const { dims, width } = shape(name);
    const values = new Float32Array(count * width);
    const { middle, spread } = range(name, dims, width, config.layers);
    const base = hash(name, seed);
    for (let row = 0; row < count; row++) {
      fillRow(values, row * width, width, mix(base ^ (first + row)), middle, spread);
    }
    return values;
  };
  return {
    dims: (name) => layout.get(name)?.dims,
    read: (name) => Promise.resolve(read(name, 0, shape(name).rows)),
    readRows: (name, first, count) => Promise.resolve(read(name, first, count)),
  };
}

/** Norms about 1, biases small, maps that keep the size of what they are given; what is added to a residual is smaller. */
function range(name: string, dims: readonly number[], width: number, layers: number) {
  if (name.endsWith(".bias")) return { middle: 0, spread: 0.05 };
  if (dims.length === 1) return { middle: 1, spread: 0.2 };
  const residual = /\.(attn_out|ff_out|ff_out_vision)\.weight$/.test(name) && name.includes("blocks");
  // Uniform in -spread..spread has deviation spread / sqrt(3).
  const deviation = 1 / Math.sqrt(width) / (residual ? Math.sqrt(2 * layers) : 1);
  return { middle: 0, spread: deviation * Math.sqrt(3) };
}

/** xorshift32 (Marsaglia 2003): a few operations a number, for there are billions. */
function fillRow(out: Float32Array, offset: number, length: number, seed: number, middle: number, spread: number) {
  let state = seed | 1;
  const step = spread / 2 ** 31;
  for (let i = offset; i < offset + length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = middle + state * step;
  }
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hash(text: string, seed: number): number {
  let h = mix(seed);
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}
