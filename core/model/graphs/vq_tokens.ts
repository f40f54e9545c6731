/**
 * VQ ids to generation tokens and back (facts 5): four ids of a 2x2 cell are one token on the way in, and one token
 * gives the logits of its four corners on the way out. Corner c of a cell is row c >> 1, column c & 1.
 *
 * @module
 */
import type { GraphBuilder, Value } from "../../../kernels/onnx/graph.ts";
import { linear, type Parameter, rmsNorm, tableRows } from "../../../kernels/onnx/layers.ts";
import { gather, reshape, sum } from "../../../kernels/onnx/ops.ts";
import type { ModelConfig } from "../config.ts";
import { derived, fused, type TensorSource, weight } from "../weights.ts";

/** Epsilon of every norm in the heads; the blocks have `rms_norm_eps`. */
const EPSILON = 1e-6;
export const CORNERS = 4;

/**
 * What of the input side is computed once for all ids ({@link foldedRows}): the four corner tables, [rows * 4, dModelGen],
 * row id * 4 + corner. For weights in a small format, which are for small memory: what the convolution is applied to,
 * [rows, dModelGen]; that is a quarter, and the convolution then costs half a per cent of a forward pass.
 */
export type FoldedTables = Float32Array;

/** Rows of the embedding that can occur: every code, one spare row and the mask row. */
export function foldedRows(config: ModelConfig): number {
  return config.vqMaskId + 1;
}

/** Table rows [n, dModelGen] after `gen_embedding`'s norm and linear map. */
function embed(g: GraphBuilder, source: TensorSource, rows: Value): Value {
  const normed = rmsNorm(g, rows, weight(source, "model.gen_embedding.1.weight"), EPSILON);
  return linear(g, normed, weight(source, "model.gen_embedding.2.weight"));
}

/** The convolution's norm. */
function downsampleNorm(g: GraphBuilder, source: TensorSource, embedded: Value): Value {
  return rmsNorm(g, embedded, weight(source, "model.downsample_gen.downsample.norm.weight"), EPSILON);
}

/** Embeddings [n, dModelGen] to what each adds to its cell at each of the four corners, [n, 4 * dModelGen]. */
function corners(g: GraphBuilder, config: ModelConfig, source: TensorSource, embedded: Value): Value {
  const d = config.dModelGen;
  const normed = downsampleNorm(g, source, embedded);
  const convolution = weight(source, "model.downsample_gen.downsample.conv.weight");
  // [out, in, corner] to [corner, out, in]: one linear map a corner.
  const maps = derived(convolution, "corners", [CORNERS * d, d], (values) => {
    const result = new Float32Array(values.length);
    for (let pair = 0; pair < d * d; pair++) {
      for (let c = 0; c < CORNERS; c++) result[c * d * d + pair] = values[pair * CORNERS + c] ?? 0;
    }
    return result;
  });
  return linear(g, normed, maps);
}

/** Table rows to corner-table rows: the whole input side up to the sum over a cell, which is linear. */
export function foldRows(g: GraphBuilder, config: ModelConfig, source: TensorSource, rows: Value): Value {
  return corners(g, config, source, embed(g, source, rows));
}

/** Table rows to what the convolution is applied to, [n, dModelGen]. */
export function embedRows(g: GraphBuilder, source: TensorSource, rows: Value): Value {
  return downsampleNorm(g, source, embed(g, source, rows));
}

/** Sums [1, cells, dModelGen] to tokens: `gen_embedding_2`. */
function toTokens(g: GraphBuilder, source: TensorSource, sums: Value): Value {
  const normed = rmsNorm(g, sums, weight(source, "model.gen_embedding_2.0.weight"), EPSILON);
  return linear(g, normed, weight(source, "model.gen_embedding_2.1.weight"));
}

/** `cells`: int32 [1, cells, 4], each id * 4 + corner. Tokens [1, cells, dModelGen] from the folded tables. */
export function tokensFolded(
  g: GraphBuilder,
  config: ModelConfig,
  source: TensorSource,
  tables: FoldedTables,
  cells: Value,
): Value {
  const d = config.dModelGen;
  const format = source.format?.("model.gen_embedding.0.weight");
  const load = () => Promise.resolve(tables);
  if (format === undefined) {
    const table: Parameter = { name: "corner_tables", dims: [foldedRows(config) * CORNERS, d], load };
    return toTokens(g, source, sum(g, tableRows(g, table, cells), 2));
  }
  const table: Parameter = { name: "embedded_rows", dims: [foldedRows(config), d], format, load };
  const rows = reshape(g, tableRows(g, table, idsOf(g, cells)), [1, -1, CORNERS * d]);
  // [out, in, corner] to [out, (corner, in)].
  const convolution = weight(source, "model.downsample_gen.downsample.conv.weight");
  const map = derived(convolution, "cells", [d, CORNERS * d], (values) => {
    const result = new Float32Array(values.length);
    for (let pair = 0; pair < d * d; pair++) {
      const [out, input] = [Math.floor(pair / d), pair % d];
      for (let c = 0; c < CORNERS; c++) result[(out * CORNERS + c) * d + input] = values[pair * CORNERS + c] ?? 0;
    }
    return result;
  });
  return toTokens(g, source, linear(g, rows, map));
}

/** `cells` without the corners. */
function idsOf(g: GraphBuilder, cells: Value): Value {
  return g.node("Div", [cells, g.initializer("corners", "int32", [], () => Int32Array.of(CORNERS))]);
}

/**
 * The same without the fold, as published, for observing.
 * Offers `gen_embedding` [4 * cells, d], `downsample` [1, cells, d] and `gen_tokens` [1, cells, d].
 */
export function tokensUnfolded(g: GraphBuilder, config: ModelConfig, source: TensorSource, cells: Value): Value {
  const d = config.dModelGen;
  const ids = reshape(g, idsOf(g, cells), [-1]);
  const name = "model.gen_embedding.0.weight";
  const table = g.initializer(name, "float32", [config.vqTableRows, d], () => source.read(name));
  const embedded = g.observe("gen_embedding", embed(g, source, gather(g, table, ids, 0)), ["ids", d]);
  // [4 * cells, (corner, d)]: of each id only the column of its own corner counts.
  const all = reshape(g, corners(g, config, source, embedded), [-1, CORNERS, CORNERS, d]);
  const own = Array.from({ length: CORNERS }, (_, corner) => {
    const index = (axis: string) => g.initializer(`corner:${axis}${corner}`, "int32", [], () => Int32Array.of(corner));
    return gather(g, gather(g, all, index("id"), 1), index("map"), 1);
  });
  const sums = reshape(g, g.node("Sum", own), [1, -1, d]);
  g.observe("downsample", sums, [1, "cells", d]);
  return g.observe("gen_tokens", toTokens(g, source, sums), [1, "cells", d]);
}

/**
 * Final states [rows, cells, dModelGen] (after `ln_f`) to logits [rows, picks, vqCodes].
 * `picks`: int32 [picks], each cell * 4 + corner, with cells counted in `states`.
 */
export function logits(
  g: GraphBuilder,
  config: ModelConfig,
  source: TensorSource,
  states: Value,
  picks: Value,
): Value {
  const d = config.dModelGen;
  const w = (name: string) => weight(source, `model.${name}.weight`);
  const normed = rmsNorm(g, states, w("upsample_gen.upsample.norm"), EPSILON);
  // Transposed convolution, [in, out, corner] to [corner, out, in].
  const maps = derived(w("upsample_gen.upsample.conv"), "corners", [CORNERS * d, d], (values) => {
    const result = new Float32Array(values.length);
    for (let input = 0; input < d; input++) {
      for (let output = 0; output < d; output++) {
        for (let c = 0; c < CORNERS; c++) {
          result[(c * d + output) * d + input] = values[(input * d + output) * CORNERS + c] ?? 0;
        }
      }
    }
    return result;
  });
  const expanded = reshape(g, linear(g, normed, maps), [0, -1, d]);
  const picked = g.observe("upsample", gather(g, expanded, picks, 1), ["rows", "picks", d]);
  const first = rmsNorm(g, picked, w("gen_predictor_2.0"), EPSILON);
  let middle: Value;
  if (g.observing) {
    middle = linear(
      g,
      g.observe("gen_predictor_2", linear(g, first, w("gen_predictor_2.1")), ["rows", "picks", d]),
      w("gen_predictor.0"),
    );
  } else middle = linear(g, first, fused(w("gen_predictor.0"), w("gen_predictor_2.1")));
  return linear(g, rmsNorm(g, middle, w("gen_predictor.1"), EPSILON), w("gen_predictor.2"));
}
