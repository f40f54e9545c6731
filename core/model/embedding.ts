/**
 * Text embeddings, read row by row from the weights: a prompt has some hundred tokens, the published table half a
 * billion numbers.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { HostTensor } from "../engine/types.ts";
import { IMAGE_ID } from "./chat_template.ts";
import type { ModelConfig } from "./config.ts";
import type { TensorSource } from "./weights.ts";

const TABLE = "model.transformer.wte.weight";
/** Rows kept in memory; prompts share their template. */
const KEPT_ROWS = 4096;

/** Looks embeddings up and remembers those that it met. */
export class TextEmbedding {
  #config: ModelConfig;
  #source: TensorSource;
  #rows = new Map<number, Float32Array>();

  constructor(config: ModelConfig, source: TensorSource) {
    this.#config = config;
    this.#source = source;
  }

  /**
   * Rows of ids of equal length to fp32 [rows, tokens, dModel].
   *
   * @param features fp32 [n, dModel] of pictures: in each row they stand, in order, at the row's `IMAGE_ID` places, of
   * which it has n or none
   * @throws {UnmaskError} `token_out_of_range`
   */
  async lookUp(rows: readonly Int32Array[], features: Float32Array = new Float32Array()): Promise<HostTensor> {
    const d = this.#config.dModel;
    const tokens = rows[0]?.length ?? 0;
    const data = new Float32Array(rows.length * tokens * d);
    let offset = 0;
    for (const ids of rows) {
      if (ids.length !== tokens) throw new RangeError(`rows of ${tokens} and ${ids.length} tokens`);
      let used = 0;
      for (const id of ids) {
        if (id === IMAGE_ID && used < features.length) data.set(features.subarray(used, used += d), offset);
        else data.set(this.#rows.get(id) ?? await this.#read(id), offset);
        offset += d;
      }
      if (used !== 0 && used !== features.length) {
        throw new RangeError(`a row has ${used / d} places for ${features.length / d} picture tokens`);
      }
    }
    return { dtype: "float32", dims: [rows.length, tokens, d], data };
  }

  async #read(id: number): Promise<Float32Array> {
    if (id < 0 || id >= this.#config.embeddingSize) {
      throw new UnmaskError({
        code: "token_out_of_range",
        message: `token ${id} has no embedding; the table has ${this.#config.embeddingSize} rows`,
        fix: "use the tokenizer.json of this model",
      });
    }
    const row = await this.#source.readRows(TABLE, id, 1);
    if (this.#rows.size >= KEPT_ROWS) this.#rows.clear();
    this.#rows.set(id, row);
    return row;
  }
}
