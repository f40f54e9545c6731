/**
 * Draw graphs: VQ ids to logits at the positions that are revealed in this step. With `prefix` attention the prompt
 * comes as keys and values (prompt.ts) and only the generation branch runs; with `full` attention, the published
 * checkpoint's, the prompt sees the image and is run again in every step (facts 4).
 *
 * Savings (facts 10.1), all exact: folded input tables, layer 0 once for all rows as they share the ids, no text branch
 * in split layers and none but keys and values in the last joint one, the last layer's queries, output projection and
 * MLP only for cells with a revealed position, fused output maps, logits at revealed positions only. Observing turns
 * them off in the same code.
 *
 * @module
 */
import { type BuildOptions, type BuiltGraph, GraphBuilder, type Value } from "../../../kernels/onnx/graph.ts";
import { gather, repeatRows } from "../../../kernels/onnx/ops.ts";
import type { ModelConfig } from "../config.ts";
import type { TensorSource } from "../weights.ts";
import { Branch, joined, type KeysValues } from "./branch.ts";
import { cacheNames } from "./prompt.ts";
import { CORNERS, type FoldedTables, logits, tokensFolded, tokensUnfolded } from "./vq_tokens.ts";

export interface DrawGraphOptions {
  readonly attention: "prefix" | "full";
  /** From the fold graph (fold_tables.ts). */
  readonly tables: FoldedTables;
  /** Prefix only: the prompt holds VQ tokens of a source picture, which split layers see. @default {false} */
  readonly sourceCached?: boolean;
  /**
   * `gen_embedding`, `downsample`, `gen_tokens`, `block{i}.gen` [rows, cells, dModelGen], `ln_f.gen`, `upsample`,
   * `gen_predictor_2`; with full attention also `block{i}.text` [rows, tokens, dModel] and `ln_f.text`.
   */
  readonly observe?: readonly string[];
  readonly build?: BuildOptions;
}

/**
 * Inputs (cells row-major over the grid of 2x2 cells):
 * - `corner_rows` int32 [1, cells, 4]: id * 4 + corner of each cell's four ids
 * - `once_positions` int64 [1, cells], `positions` int64 [rows, cells]: the cells' places in the sequence
 * - `row_ones` fp32 [rows, 1, 1]: ones; layer 0 is computed once and repeated to the rows
 * - `cells` int32 [chosen]: cells with a revealed position; `cell_positions` int64 [rows, chosen]
 * - `picks` int32 [picks]: index into `cells` * 4 + corner
 * - prefix: `keys.i`, `values.i` fp32 [rows, tokens, dModel] for each joint layer; with a cached source also
 *   [rows, sourceTokens, dModel] for each split layer
 * - full: `embeddings` fp32 [rows, tokens, dModel], `text_positions` int64 [rows, tokens]: prefix and suffix
 *
 * With full attention a source picture's cells stand among `corner_rows` and positions; nothing else tells them apart.
 *
 * Output: `logits` fp32 [rows, picks, vqCodes].
 */
export function drawGraph(
  config: ModelConfig,
  source: TensorSource,
  options: DrawGraphOptions,
): Promise<BuiltGraph> {
  const sourceCached = options.sourceCached ?? false;
  const g = new GraphBuilder(`draw_${options.attention}${sourceCached ? "_source" : ""}`, options.observe);
  const rows = g.input("corner_rows", "int32", [1, "cells", CORNERS]);
  const oncePositions = g.input("once_positions", "int64", [1, "cells"]);
  const positions = g.input("positions", "int64", ["rows", "cells"]);
  const ones = g.input("row_ones", "float32", ["rows", 1, 1]);
  const cells = g.input("cells", "int32", ["chosen"]);
  const cellPositions = g.input("cell_positions", "int64", ["rows", "chosen"]);
  const picks = g.input("picks", "int32", ["picks"]);
  const prompt = options.attention === "full"
    ? new TextSide(g, config, source)
    : new CachedSide(g, config, sourceCached);
  const branch = new Branch(g, config, source, "generation");
  const shape = ["rows", "cells", config.dModelGen];

  let x = g.observing ? tokensUnfolded(g, config, source, rows) : tokensFolded(g, config, source, options.tables, rows);
  for (let layer = 0; layer < config.layers; layer++) {
    const first = layer === 0;
    const narrow = layer === config.layers - 1 && !g.observing;
    const spread = (value: Value) => first ? repeatRows(g, value, ones) : value;
    let normed = branch.normed(layer, x);
    const once = branch.keysValues(layer, normed, first ? oncePositions : positions);
    const own = { keys: spread(once.keys), values: spread(once.values) };
    const seen = prompt.seen(layer, own);
    let queries: Value;
    if (narrow) {
      x = gather(g, x, cells, 1);
      normed = spread(gather(g, normed, cells, 1));
      queries = branch.queries(layer, normed, cellPositions);
    } else queries = spread(branch.queries(layer, normed, first ? oncePositions : positions));
    x = branch.finish(layer, x, queries, seen);
    if (!narrow) g.observe(`block${layer}.gen`, x, shape);
    prompt.advance(layer, seen);
  }
  let states = branch.finalNorm(x);
  if (g.observing) states = gather(g, g.observe("ln_f.gen", states, shape), cells, 1);
  g.output("logits", logits(g, config, source, states, picks), "float32", ["rows", "picks", config.vqCodes]);
  return g.build(options.build);
}

/** The prompt as keys and values that were computed before. */
class CachedSide {
  #g: GraphBuilder;
  #cache: readonly KeysValues[];

  constructor(g: GraphBuilder, config: ModelConfig, sourceCached: boolean) {
    this.#g = g;
    this.#cache = Array.from({ length: sourceCached ? config.layers : config.jointLayers }, (_, layer) => {
      const names = cacheNames(layer);
      const shape = ["rows", layer < config.jointLayers ? "tokens" : "source_tokens", config.dModel];
      return { keys: g.input(names.keys, "float32", shape), values: g.input(names.values, "float32", shape) };
    });
  }

  seen(layer: number, own: KeysValues): KeysValues {
    const cached = this.#cache[layer];
    return cached === undefined ? own : joined(this.#g, cached, own);
  }

  advance(_layer: number, _seen: KeysValues): void {}
}

/** The prompt as text states that see the image, layer by layer. */
class TextSide {
  #g: GraphBuilder;
  #config: ModelConfig;
  #branch: Branch;
  #positions: Value;
  #x: Value;
  #normed: Value | undefined;
  #own: KeysValues | undefined;

  constructor(g: GraphBuilder, config: ModelConfig, source: TensorSource) {
    this.#g = g;
    this.#config = config;
    this.#branch = new Branch(g, config, source, "language");
    this.#x = g.input("embeddings", "float32", ["rows", "tokens", config.dModel]);
    this.#positions = g.input("text_positions", "int64", ["rows", "tokens"]);
  }

  seen(layer: number, own: KeysValues): KeysValues {
    const joint = layer < this.#config.jointLayers;
    if (!joint && !this.#g.observing) return own;
    this.#normed = this.#branch.normed(layer, this.#x);
    this.#own = this.#branch.keysValues(layer, this.#normed, this.#positions);
    return joint ? joined(this.#g, this.#own, own) : own;
  }

  advance(layer: number, seen: KeysValues): void {
    const lastNeeded = this.#g.observing ? this.#config.layers - 1 : this.#config.jointLayers - 2;
    if (layer > lastNeeded || this.#normed === undefined || this.#own === undefined) return;
    const queries = this.#branch.queries(layer, this.#normed, this.#positions);
    const attended = layer < this.#config.jointLayers ? seen : this.#own;
    this.#x = this.#branch.finish(layer, this.#x, queries, attended);
    const shape = ["rows", "tokens", this.#config.dModel];
    this.#g.observe(`block${layer}.text`, this.#x, shape);
    if (layer === this.#config.layers - 1) this.#g.observe("ln_f.text", this.#branch.finalNorm(this.#x), shape);
  }
}
