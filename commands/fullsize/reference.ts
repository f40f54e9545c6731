/**
 * The drawing's forward pass in plain fp64 loops (facts 1.2, 1.3, 4, 5) over the int4 and fp16 numbers as they lie on
 * disk: an independent check of whole converted graphs on a few tokens. Shares no arithmetic with them.
 *
 * @module
 */
import type { ModelConfig } from "../../core/model/config.ts";
import type { StoredWeights } from "./stored_weights.ts";

export interface ReferenceInput {
  /** Embeddings of the prefix and of the suffix, each [dModel]. */
  readonly prefix: readonly Float64Array[];
  readonly suffix: readonly Float64Array[];
  /** VQ ids on a grid of `width`. */
  readonly ids: Uint16Array;
  readonly width: number;
  readonly positions: Uint32Array;
}

interface Token {
  readonly gen: boolean;
  readonly place: number;
  x: Float64Array;
}

/** Logits [positions, vqCodes] of one row under full attention. */
export async function referenceLogits(
  config: ModelConfig,
  weights: StoredWeights,
  input: ReferenceInput,
): Promise<Float64Array> {
  const w = new Maps(weights);
  const cells = await cellTokens(config, w, input);
  const texts = (from: readonly Float64Array[], first: number) =>
    from.map((x, i): Token => ({ gen: false, place: first + i, x: x.slice() }));
  const image = cells.map((x, i): Token => ({ gen: true, place: input.prefix.length + i, x }));
  const tokens = [...texts(input.prefix, 0), ...image, ...texts(input.suffix, input.prefix.length + image.length)];
  for (let layer = 0; layer < config.layers; layer++) await block(config, w, layer, tokens);
  return await heads(config, w, image, input);
}

/** Rows of a matrix, one at a time; each is there until the next is asked for. */
interface Rows {
  readonly rows: number;
  row(r: number): Float64Array;
}

/** Products with stored matrices, several vectors at a time. */
class Maps {
  readonly #weights: StoredWeights;

  constructor(weights: StoredWeights) {
    this.#weights = weights;
  }

  half(name: string): Promise<Float64Array> {
    return this.#weights.half(name);
  }

  /** A stored matrix times each vector: int4 [rows, blocks, 16] with scales, or what is small, fp16 [columns, rows]. */
  async times(name: string, vectors: readonly Float64Array[]): Promise<Float64Array[]> {
    const { rows, row } = this.#weights.has(`${name}:int4`) ? await this.#int4(name) : await this.#transposed(name);
    const results = vectors.map(() => new Float64Array(rows));
    for (let r = 0; r < rows; r++) {
      const weights = row(r);
      for (const [index, x] of vectors.entries()) {
        let sum = 0;
        for (let i = 0; i < x.length; i++) sum += (weights[i] as number) * (x[i] as number);
        (results[index] as Float64Array)[r] = sum;
      }
    }
    return results;
  }

  async #int4(name: string): Promise<Rows> {
    const packed = await this.#weights.bytes(`${name}:int4`);
    const scales = new Float32Array((await this.#weights.bytes(`${name}:scales`)).buffer);
    const [rows = 0, blocks = 0] = this.#weights.dims(`${name}:int4`);
    const row = new Float64Array(blocks * 32);
    return {
      rows,
      row(r) {
        for (let b = 0; b < blocks; b++) {
          const at = r * blocks + b;
          const scale = scales[at] ?? NaN;
          for (let i = 0; i < 16; i++) {
            const byte = packed[at * 16 + i] ?? 0;
            row[b * 32 + 2 * i] = ((byte & 15) - 8) * scale;
            row[b * 32 + 2 * i + 1] = ((byte >> 4) - 8) * scale;
          }
        }
        return row;
      },
    };
  }

  async #transposed(name: string): Promise<Rows> {
    const values = await this.half(`${name}:transposed`);
    const [columns = 0, rows = 0] = this.#weights.dims(`${name}:transposed:half`);
    const row = new Float64Array(columns);
    return { rows, row: (r) => row.map((_, column) => values[column * rows + r] ?? NaN) };
  }

  async norm(name: string, vectors: readonly Float64Array[], epsilon: number): Promise<Float64Array[]> {
    const w = await this.half(name);
    return vectors.map((x) => {
      const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon);
      return x.map((value, i) => value / root * (w[i] ?? NaN));
    });
  }
}

const HEAD_EPSILON = 1e-6;

async function cellTokens(config: ModelConfig, w: Maps, { ids, width }: ReferenceInput): Promise<Float64Array[]> {
  const d = config.dModelGen;
  const table = await w.half("embedded_rows");
  const joined = Array.from({ length: ids.length / 4 }, (_, cell) => {
    const [top, left] = [2 * Math.floor(cell / (width / 2)), 2 * (cell % (width / 2))];
    const x = new Float64Array(4 * d);
    for (let corner = 0; corner < 4; corner++) {
      const id = ids[(top + (corner >> 1)) * width + left + (corner & 1)] ?? 0;
      x.set(table.subarray(id * d, (id + 1) * d), corner * d);
    }
    return x;
  });
  const sums = await w.times("model.downsample_gen.downsample.conv.weight:cells", joined);
  const normed = await w.norm("model.gen_embedding_2.0.weight", sums, HEAD_EPSILON);
  return await w.times("model.gen_embedding_2.1.weight", normed);
}

function rotated(x: Float64Array, place: number, { headSize, ropeTheta }: ModelConfig): Float64Array {
  const half = headSize / 2;
  return x.map((value, i) => {
    const within = i % headSize;
    const angle = place * ropeTheta ** (-2 * (within % half) / headSize);
    const partner = within < half ? -(x[i + half] ?? NaN) : x[i - half] ?? NaN;
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

interface Seen {
  readonly token: Token;
  readonly k: Float64Array;
  readonly v: Float64Array;
}

function attend(q: Float64Array, seen: readonly Seen[], { heads, headSize }: ModelConfig): Float64Array {
  const result = new Float64Array(q.length);
  for (let head = 0; head < heads; head++) {
    const from = head * headSize;
    const scores = seen.map(({ k }) => {
      let dot = 0;
      for (let i = from; i < from + headSize; i++) dot += (q[i] ?? NaN) * (k[i] ?? NaN);
      return dot / Math.sqrt(headSize);
    });
    const most = Math.max(...scores);
    const shares = scores.map((score) => Math.exp(score - most));
    const total = shares.reduce((a, b) => a + b, 0);
    for (let i = from; i < from + headSize; i++) {
      result[i] = seen.reduce((sum, { v }, j) => sum + (shares[j] ?? NaN) / total * (v[i] ?? NaN), 0);
    }
  }
  return result;
}

async function block(config: ModelConfig, w: Maps, layer: number, tokens: readonly Token[]): Promise<void> {
  const joint = layer < config.jointLayers;
  const seen: Seen[] = [];
  const queries = new Map<Token, Float64Array>();
  for (const gen of [false, true]) {
    if (!gen && !joint) continue; // text does not reach the image any more
    const name = (part: string) => `model.transformer.blocks.${layer}.${part}${gen ? "_vision" : ""}.weight`;
    const own = tokens.filter((token) => token.gen === gen);
    const normed = await w.norm(name("attn_norm"), own.map(({ x }) => x), config.rmsNormEpsilon);
    const keys = await w.times(name("k_proj"), normed);
    const values = await w.times(name("v_proj"), normed);
    own.forEach((token, i) => {
      const [k = new Float64Array(), v = new Float64Array()] = [keys[i], values[i]];
      seen.push({ token, k: rotated(k, token.place, config), v });
    });
    if (!gen && layer === config.jointLayers - 1) continue; // its keys and values are the last thing that counts
    const q = await w.times(name("q_proj"), normed);
    own.forEach((token, i) => queries.set(token, rotated(q[i] ?? new Float64Array(), token.place, config)));
  }
  for (const gen of [false, true]) {
    const own = tokens.filter((token) => token.gen === gen && queries.has(token));
    if (own.length === 0) continue;
    const attended = own.map((token) => attend(queries.get(token) ?? new Float64Array(), seen, config));
    const output = await project(config, w, layer, gen, attended);
    const middle = own.map(({ x }, i) => x.map((value, j) => value + (output[i]?.[j] ?? NaN)));
    const name = (part: string) => `model.transformer.blocks.${layer}.${part}${gen ? "_vision" : ""}.weight`;
    const normed = await w.norm(name("ff_norm"), middle, config.rmsNormEpsilon);
    const gate = await w.times(name("ff_proj"), normed);
    const up = await w.times(name("up_proj"), normed);
    const hidden = gate.map((g, i) => g.map((value, j) => value / (1 + Math.exp(-value)) * (up[i]?.[j] ?? NaN)));
    const down = await w.times(name("ff_out"), hidden);
    own.forEach((token, i) =>
      token.x = (middle[i] ?? new Float64Array()).map((value, j) => value + (down[i]?.[j] ?? NaN))
    );
  }
}

/** The shared output projection is stored in two pieces: the rows that both branches use, and the rest. */
async function project(config: ModelConfig, w: Maps, layer: number, gen: boolean, x: readonly Float64Array[]) {
  const { dModel, dModelGen } = config;
  const name = `model.transformer.blocks.${layer}.attn_out.weight`;
  const first = await w.times(`${name}:rows${dModelGen}`, x);
  if (gen) return first;
  const rest = await w.times(`${name}:${dModelGen}+${dModel - dModelGen}`, x);
  return first.map((head, i) => Float64Array.of(...head, ...rest[i] ?? []));
}

async function heads(config: ModelConfig, w: Maps, image: readonly Token[], { width, positions }: ReferenceInput) {
  const d = config.dModelGen;
  const ratio = config.dModel / d;
  // The divisor of the sum of squares is dModel; the weights hold the root of the ratio.
  const final = await w.norm(
    "model.transformer.ln_f.weight:generation",
    image.map(({ x }) => x),
    config.rmsNormEpsilon * ratio,
  );
  const normed = await w.norm("model.upsample_gen.upsample.norm.weight", final, HEAD_EPSILON);
  const expanded = await w.times("model.upsample_gen.upsample.conv.weight:corners", normed);
  const picked = Array.from(positions, (position) => {
    const [y, x] = [Math.floor(position / width), position % width];
    const cell = (y >> 1) * (width / 2) + (x >> 1);
    const corner = (y & 1) * 2 + (x & 1);
    return (expanded[cell] ?? new Float64Array()).slice(corner * d, (corner + 1) * d);
  });
  const first = await w.norm("model.gen_predictor_2.0.weight", picked, HEAD_EPSILON);
  const middle = await w.times("model.gen_predictor.0.weight*model.gen_predictor_2.1.weight", first);
  const last = await w.norm("model.gen_predictor.1.weight", middle, HEAD_EPSILON);
  const logits = await w.times("model.gen_predictor.2.weight", last);
  const result = new Float64Array(positions.length * config.vqCodes);
  logits.forEach((row, i) => result.set(row, i * config.vqCodes));
  return result;
}
