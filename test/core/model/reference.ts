/**
 * The network of facts 1.2, 1.3 and 5 in plain fp64 loops, one token at a time, sharing no code with the graphs: an
 * independent check of `prefix` attention, for which the published implementation has no numbers.
 */
import type { ModelConfig } from "../../../core/model/config.ts";
import type { TensorSource } from "../../../core/model/weights.ts";

type Vector = number[];

/** Reads weights and multiplies by them. */
class Weights {
  #source: TensorSource;
  #kept = new Map<string, Float32Array>();

  constructor(source: TensorSource) {
    this.#source = source;
  }

  async get(name: string): Promise<Float32Array> {
    const known = this.#kept.get(name);
    if (known !== undefined) return known;
    const values = await this.#source.read(`model.${name}.weight`);
    this.#kept.set(name, values);
    return values;
  }

  async times(name: string, x: Vector): Promise<Vector> {
    const w = await this.get(name);
    return Array.from(
      { length: w.length / x.length },
      (_, row) => x.reduce((sum, value, i) => sum + value * (w[row * x.length + i] ?? NaN), 0),
    );
  }

  async norm(name: string, x: Vector, epsilon: number, divisor = x.length): Promise<Vector> {
    const w = await this.get(name);
    const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / divisor + epsilon);
    return x.map((value, i) => value / root * (w[i] ?? NaN));
  }
}

interface Token {
  readonly generation: boolean;
  /** Of the picture that is drawn; the prompt does not see it. */
  readonly target: boolean;
  readonly position: number;
  x: Vector;
}

function rotated(x: Vector, position: number, { headSize, ropeTheta }: ModelConfig): Vector {
  const half = headSize / 2;
  return x.map((value, i) => {
    const within = i % headSize;
    const angle = position * ropeTheta ** (-2 * (within % half) / headSize);
    const partner = within < half ? -(x[i + half] ?? NaN) : x[i - half] ?? NaN;
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

function attend(q: Vector, seen: readonly { k: Vector; v: Vector }[], { heads, headSize }: ModelConfig): Vector {
  const result: Vector = [];
  for (let head = 0; head < heads; head++) {
    const from = head * headSize;
    const scores = seen.map(({ k }) => {
      let dot = 0;
      for (let i = from; i < from + headSize; i++) dot += (q[i] ?? NaN) * (k[i] ?? NaN);
      return Math.exp(dot / Math.sqrt(headSize));
    });
    const total = scores.reduce((a, b) => a + b, 0);
    for (let i = from; i < from + headSize; i++) {
      result.push(seen.reduce((sum, { v }, j) => sum + (scores[j] ?? NaN) / total * (v[i] ?? NaN), 0));
    }
  }
  return result;
}

/** A picture in the prompt, its cells in order at the prompt's places of `token`. */
export interface ReferenceSource {
  readonly token: number;
  readonly ids: Uint16Array;
  readonly width: number;
}

/** Logits [ids, vqCodes] of one row under prefix attention; `ids` on a grid of `width`. */
export async function referenceLogits(
  config: ModelConfig,
  source: TensorSource,
  prompt: Int32Array,
  ids: Uint16Array,
  width: number,
  picture?: ReferenceSource,
): Promise<Float64Array> {
  const w = new Weights(source);
  const tokens: Token[] = [];
  const cells = picture === undefined ? [] : await cellTokens(config, w, picture.ids, picture.width);
  for (const [position, id] of prompt.entries()) {
    const generation = id === picture?.token;
    const x = generation ? cells.shift() : Array.from(await source.readRows("model.transformer.wte.weight", id, 1));
    if (x === undefined) throw new Error("more places than cells");
    tokens.push({ generation, target: false, position, x });
  }
  for (const x of await cellTokens(config, w, ids, width)) {
    tokens.push({ generation: true, target: true, position: tokens.length, x });
  }
  for (let layer = 0; layer < config.layers; layer++) await block(config, w, layer, tokens);
  return await heads(config, w, tokens.filter((token) => token.target), ids.length, width);
}

async function cellTokens(config: ModelConfig, w: Weights, ids: Uint16Array, width: number): Promise<Vector[]> {
  const d = config.dModelGen;
  const table = await w.get("gen_embedding.0");
  const convolution = await w.get("downsample_gen.downsample.conv");
  const result: Vector[] = [];
  for (let cell = 0; cell < ids.length / 4; cell++) {
    const top = Math.floor(cell / (width / 2)) * 2;
    const left = cell % (width / 2) * 2;
    const sums: Vector = new Array(d).fill(0);
    for (const [a, b] of [[0, 0], [0, 1], [1, 0], [1, 1]] as const) {
      const id = ids[(top + a) * width + left + b] ?? 0;
      const row = Array.from(table.subarray(id * d, (id + 1) * d));
      const embedded = await w.times("gen_embedding.2", await w.norm("gen_embedding.1", row, 1e-6));
      const normed = await w.norm("downsample_gen.downsample.norm", embedded, 1e-6);
      for (let out = 0; out < d; out++) {
        for (const [i, value] of normed.entries()) {
          sums[out] = (sums[out] ?? 0) + value * (convolution[((out * d + i) * 2 + a) * 2 + b] ?? NaN);
        }
      }
    }
    result.push(await w.times("gen_embedding_2.1", await w.norm("gen_embedding_2.0", sums, 1e-6)));
  }
  return result;
}

async function block(config: ModelConfig, w: Weights, layer: number, tokens: Token[]): Promise<void> {
  const projected = [];
  for (const token of tokens) {
    const name = (part: string) => `transformer.blocks.${layer}.${part}${token.generation ? "_vision" : ""}`;
    const normed = await w.norm(name("attn_norm"), token.x, config.rmsNormEpsilon);
    const q = rotated(await w.times(name("q_proj"), normed), token.position, config);
    const k = rotated(await w.times(name("k_proj"), normed), token.position, config);
    projected.push({ token, name, q, k, v: await w.times(name("v_proj"), normed) });
  }
  for (const { token, name, q } of projected) {
    // A prompt token does not see the target. In split layers each kind sees its own.
    const seen = projected.filter(({ token: other }) =>
      (token.target || !other.target) && (layer < config.jointLayers || other.generation === token.generation)
    );
    const output = await w.times(`transformer.blocks.${layer}.attn_out`, attend(q, seen, config));
    const middle = token.x.map((value, i) => value + (output[i] ?? NaN)); // the first dModelGen rows for the image
    const normed = await w.norm(name("ff_norm"), middle, config.rmsNormEpsilon);
    const gate = await w.times(name("ff_proj"), normed);
    const up = await w.times(name("up_proj"), normed);
    const down = await w.times(name("ff_out"), gate.map((g, i) => g / (1 + Math.exp(-g)) * (up[i] ?? NaN)));
    token.x = middle.map((value, i) => value + (down[i] ?? NaN));
  }
}

async function heads(
  config: ModelConfig,
  w: Weights,
  cells: readonly Token[],
  count: number,
  width: number,
): Promise<Float64Array> {
  const d = config.dModelGen;
  const expansion = await w.get("upsample_gen.upsample.conv");
  const result = new Float64Array(count * config.vqCodes);
  for (const [cell, { x }] of cells.entries()) {
    const final = await w.norm("transformer.ln_f", x, config.rmsNormEpsilon, config.dModel);
    const normed = await w.norm("upsample_gen.upsample.norm", final, 1e-6);
    for (const [a, b] of [[0, 0], [0, 1], [1, 0], [1, 1]] as const) {
      const up = Array.from(
        { length: d },
        (_, out) =>
          normed.reduce((sum, value, i) => sum + value * (expansion[((i * d + out) * 2 + a) * 2 + b] ?? NaN), 0),
      );
      const first = await w.times("gen_predictor_2.1", await w.norm("gen_predictor_2.0", up, 1e-6));
      const second = await w.norm("gen_predictor.1", await w.times("gen_predictor.0", first), 1e-6);
      const position = (Math.floor(cell / (width / 2)) * 2 + a) * width + cell % (width / 2) * 2 + b;
      result.set(await w.times("gen_predictor.2", second), position * config.vqCodes);
    }
  }
  return result;
}
