/**
 * Transformer layers. Weights come as PyTorch stores them (Linear [out, in]) and are laid out for the operators here.
 *
 * @module
 */
import type { GraphBuilder, Value } from "./graph.ts";
import { add, gather, matmul, multiply, silu } from "./ops.ts";
import { halfParameter, halfRows, linearHalf, linearInt4, type WeightFormat } from "./quantize.ts";

/** A named weight, loaded when the graph is built. */
export interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  /** How a graph stores it. @default fp32 */
  readonly format?: WeightFormat | undefined;
  load(): Promise<Float32Array>;
}

/** The weight as it is. */
export function parameter(g: GraphBuilder, weight: Parameter): Value {
  if (weight.format !== undefined) return halfParameter(g, weight);
  return g.initializer(weight.name, "float32", weight.dims, () => weight.load());
}

/** Rows of a table [n, width] by int32 `indices`. */
export function tableRows(g: GraphBuilder, table: Parameter, indices: Value): Value {
  return table.format === undefined ? gather(g, parameter(g, table), indices, 0) : halfRows(g, table, indices);
}

/**
 * x * rsqrt(mean(x^2) + epsilon) * weight over the last axis, in fp32.
 * SimplifiedLayerNormalization is not in ONNX's own list, yet every provider of ONNX Runtime has it in the default
 * domain since opset 1 (and ONNX's RMSNormalization, opset 23, is missing on some).
 */
export function rmsNorm(g: GraphBuilder, x: Value, weight: Parameter, epsilon: number): Value {
  return g.node("SimplifiedLayerNormalization", [x, parameter(g, weight)], {
    axis: { integer: -1 },
    epsilon: { float: epsilon },
    stash_type: { integer: 1 },
  });
}

/** x [..., in] times weight [out, in] transposed: [..., out]. The transposition happens once, here. */
export function linear(g: GraphBuilder, x: Value, weight: Parameter): Value {
  if (weight.format === "int4") return linearInt4(g, x, weight);
  const [rows = 0, columns = 0] = weight.dims;
  const transposed: Parameter = {
    name: `${weight.name}:transposed`,
    dims: [columns, rows],
    format: weight.format,
    load: async () => transposeMatrix(await weight.load(), rows, columns),
  };
  return weight.format === undefined ? matmul(g, x, parameter(g, transposed)) : linearHalf(g, x, transposed);
}

/** Mean 0 and variance 1 over the last axis, then scaled and shifted, in fp32. */
export function layerNorm(g: GraphBuilder, x: Value, weight: Parameter, bias: Parameter, epsilon: number): Value {
  return g.node("LayerNormalization", [x, parameter(g, weight), parameter(g, bias)], {
    axis: { integer: -1 },
    epsilon: { float: epsilon },
  });
}

/** {@link linear} with a bias [out]. */
export function affine(g: GraphBuilder, x: Value, weight: Parameter, bias: Parameter): Value {
  return add(g, linear(g, x, weight), parameter(g, bias));
}

/** down(silu(gate(x)) * up(x)). */
export function gatedMlp(
  g: GraphBuilder,
  x: Value,
  weights: { readonly gate: Parameter; readonly up: Parameter; readonly down: Parameter },
): Value {
  const hidden = multiply(g, silu(g, linear(g, x, weights.gate)), linear(g, x, weights.up));
  return linear(g, hidden, weights.down);
}

/** Tables for {@link rotate}: cos and sin of position * theta^(-2i/head), [positions, head / 2]. */
export interface RotaryTables {
  readonly cos: Value;
  readonly sin: Value;
}

/**
 * Angles are computed in fp32 as the published model does (facts 1.1, `rope_full_precision`). A graph holds positions and
 * frequencies only: every runtime folds the constant tables while it loads the graph, on its CPU.
 */
export function rotaryTables(
  g: GraphBuilder,
  options: { readonly positions: number; readonly headSize: number; readonly theta: number },
): RotaryTables {
  const half = options.headSize / 2;
  const positions = g.initializer(
    "rotary.positions",
    "float32",
    [options.positions, 1],
    () => Float32Array.from({ length: options.positions }, (_, position) => position),
  );
  const frequencies = g.initializer(
    "rotary.frequencies",
    "float32",
    [1, half],
    () =>
      Float32Array.from(
        { length: half },
        (_, i) => 1 / Math.fround(options.theta ** Math.fround((2 * i) / options.headSize)),
      ),
  );
  const angles = multiply(g, positions, frequencies);
  return { cos: g.node("Cos", [angles]), sin: g.node("Sin", [angles]) };
}

/**
 * Rotary position embedding, half-split (component i pairs with i + head / 2), of x [rows, tokens, heads * head].
 * `positions`: int64 [rows, tokens].
 */
export function rotate(g: GraphBuilder, x: Value, positions: Value, tables: RotaryTables): Value {
  return g.node(
    "RotaryEmbedding",
    [x, positions, tables.cos, tables.sin],
    { interleaved: { integer: 0 } },
    "com.microsoft",
  );
}

/**
 * Softmax attention without a mask: query [rows, n, heads * head] over key and value [rows, m, heads * head], scaled by
 * 1 / sqrt(head). Each is already rotated.
 */
export function attention(g: GraphBuilder, query: Value, key: Value, value: Value, heads: number): Value {
  return g.node("MultiHeadAttention", [query, key, value], { num_heads: { integer: heads } }, "com.microsoft");
}

/** [rows, columns] to [columns, rows], in tiles that stay in cache. */
export function transposeMatrix(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  const tile = 32;
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(left + tile, columns);
      for (let c = left; c < right; c++) {
        for (let r = top; r < bottom; r++) result[c * rows + r] = data[r * columns + c] ?? 0;
      }
    }
  }
  return result;
}
