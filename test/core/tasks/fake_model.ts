/**
 * A model that is a table of numbers: logits are a hash of the prompt row, the ids revealed so far, and the position.
 * So a step that looks at anything but its own state gives other ids.
 */
import { readFileSync } from "node:fs";
import { philox } from "../../../core/diffusion/philox.ts";
import { parseConfig } from "../../../core/model/config.ts";
import { createTokenizer } from "../../../core/model/tokenizer.ts";
import type { Model, Picture, PromptCache } from "../../../core/model/types.ts";

const CODES = 61;

export interface Call {
  readonly rows: number;
  readonly positions: number[];
}

export interface FakeModel extends Model {
  readonly calls: Call[];
  /** Prompt caches made and not yet released. */
  open(): number;
}

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

function fakeConfig() {
  return parseConfig(
    {
      d_model: 64,
      d_model_gen: 32,
      n_heads: 4,
      n_layers: 2,
      mlp_hidden_size: 8,
      mlp_hidden_size_gen: 8,
      dual_tower_layers: 0,
      vocab_size: 100,
      rope_theta: 100,
      rms_norm_eps: 1e-5,
      mask_token_id: 1,
      eos_token_id: 2,
      max_sequence_length: 512,
      tokenizer_model_max_length: 512,
      prompt_attention: "prefix",
      vq_codes: CODES,
      native_resolution: 128,
    },
    {
      down_block_types: Array(5).fill("DownEncoderBlock2D"),
      up_block_types: Array(5).fill("UpDecoderBlock2D"),
      block_out_channels: [8, 8, 8, 8, 8],
      norm_num_groups: 8,
      num_vq_embeddings: CODES,
    },
  );
}

function hash(values: Iterable<number>): number {
  let h = 2166136261;
  for (const value of values) h = Math.imul(h ^ value, 16777619);
  return h >>> 0;
}

/** One for all: it holds no state, and takes far longer to make than a model of a table. */
const tokenizer = createTokenizer(read("models/scenes/tokenizer.json"), read("models/scenes/tokenizer_config.json"));

export function fakeModel(): FakeModel {
  const config = fakeConfig();
  const calls: Call[] = [];
  const caches = new Map<PromptCache, readonly number[]>();
  const words = new Uint32Array(4);
  return {
    config,
    tokenizer,
    calls,
    open: () => caches.size,
    info: { provider: "cpu", runtime: "table", device: "table", software: false, threads: 1 },
    prompt(rows) {
      const cache: PromptCache = {
        rows: rows.length,
        length: rows[0]?.length ?? 0,
        bytes: 1000 * rows.length,
        release: () => caches.delete(cache),
      };
      caches.set(cache, rows.map(hash));
      return Promise.resolve(cache);
    },
    draw(cache, ids, positions) {
      const rows = caches.get(cache);
      if (rows === undefined) throw new Error("drawn from a released prompt");
      calls.push({ rows: rows.length, positions: [...positions] });
      const present = hash(ids);
      return Promise.resolve(rows.map((row) => {
        const logits = new Float32Array(positions.length * CODES);
        positions.forEach((position, i) => {
          for (let code = 0; code < CODES; code++) {
            philox(code, position, present, row, 1, 2, words);
            logits[i * CODES + code] = ((words[0] ?? 0) / 2 ** 32) * 6 - 3;
          }
        });
        return logits;
      }));
    },
    decode(ids): Promise<Picture> {
      return Promise.resolve({ width: ids.length, height: 1, data: Uint8Array.from(ids) });
    },
    encode: () => Promise.reject(new Error("not asked for")),
    understanding: new Proxy({} as Model["understanding"], {
      get: () => () => Promise.reject(new Error("not asked for")),
    }),
    loaded: [],
    close: () => Promise.resolve(),
  };
}
