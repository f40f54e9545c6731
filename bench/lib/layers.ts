/**
 * Blocks of the published architecture, one graph a kind, as the draw graph of `full` attention is made of them
 * (core/model/graphs/draw.ts), and what each has to do.
 *
 * @module
 */
import { type BuiltGraph, GraphBuilder, type Value } from "../../kernels/onnx/graph.ts";
import { gather } from "../../kernels/onnx/ops.ts";
import type { ModelConfig } from "../../core/model/config.ts";
import { Branch, joined, type KeysValues } from "../../core/model/graphs/branch.ts";
import { foldedRows, logits, tokensFolded } from "../../core/model/graphs/vq_tokens.ts";
import type { TensorSource } from "../../core/model/weights.ts";

/**
 * `joint`: both branches in full. `last_joint`: of the text only keys and values. `split`: pictures alone. `last`: queries
 * of revealed cells only. `ends`: ids to tokens, and states to logits.
 */
export const KINDS = ["joint", "last_joint", "split", "last", "ends"] as const;
export type Kind = (typeof KINDS)[number];

export interface LayerShape {
  /** 2 with guidance. */
  readonly rows: number;
  readonly cells: number;
  readonly tokens: number;
  /** Cells with a revealed position, and revealed positions. */
  readonly chosen: number;
  readonly picks: number;
}

/** How many of each kind the whole model has. */
export function kindCounts({ layers, jointLayers }: ModelConfig): Readonly<Record<Kind, number>> {
  return { joint: jointLayers - 1, last_joint: 1, split: layers - jointLayers - 1, last: 1, ends: 1 };
}

/**
 * @param config of four layers, one of each kind (`syntheticConfig({ scale, layers: 4 })`)
 * @returns inputs and outputs as `layerFeeds` names them
 */
export function layerGraph(config: ModelConfig, source: TensorSource, kind: Kind): Promise<BuiltGraph> {
  const g = new GraphBuilder(`layer_${kind}`);
  if (kind === "ends") return endsGraph(g, config, source);
  const layer = KINDS.indexOf(kind);
  const shape = ["rows", "cells", config.dModelGen];
  const branch = new Branch(g, config, source, "generation");
  let x = g.input("x", "float32", shape);
  const positions = g.input("positions", "int64", ["rows", "cells"]);
  let normed = branch.normed(layer, x);
  const own = branch.keysValues(layer, normed, positions);
  const seen = layer < 2 ? withText(g, config, source, kind, layer, own) : own;
  let queryPositions: Value = positions;
  if (kind === "last") {
    const chosen = g.input("chosen", "int32", ["chosen"]);
    queryPositions = g.input("chosen_positions", "int64", ["rows", "chosen"]);
    x = gather(g, x, chosen, 1);
    normed = gather(g, normed, chosen, 1);
  }
  const next = branch.finish(layer, x, branch.queries(layer, normed, queryPositions), seen);
  g.output("y", next, "float32", kind === "last" ? ["rows", "chosen", config.dModelGen] : shape);
  return g.build();
}

function withText(
  g: GraphBuilder,
  config: ModelConfig,
  source: TensorSource,
  kind: Kind,
  layer: number,
  own: KeysValues,
): KeysValues {
  const shape = ["rows", "tokens", config.dModel];
  const branch = new Branch(g, config, source, "language");
  const text = g.input("text", "float32", shape);
  const positions = g.input("text_positions", "int64", ["rows", "tokens"]);
  const normed = branch.normed(layer, text);
  const seen = joined(g, branch.keysValues(layer, normed, positions), own);
  if (kind === "joint") {
    const queries = branch.queries(layer, normed, positions);
    g.output("text_y", branch.finish(layer, text, queries, seen), "float32", shape);
  }
  return seen;
}

function endsGraph(g: GraphBuilder, config: ModelConfig, source: TensorSource): Promise<BuiltGraph> {
  const d = config.dModelGen;
  const corners = g.input("corner_rows", "int32", [1, "cells", 4]);
  const states = g.input("states", "float32", ["rows", "chosen", d]);
  const picks = g.input("picks", "int32", ["picks"]);
  const format = source.format?.("model.gen_embedding.0.weight");
  const rows = foldedRows(config) * (format === undefined ? 4 : 1);
  const tables = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i));
  g.output("tokens", tokensFolded(g, config, source, tables, corners), "float32", [1, "cells", d]);
  g.output("logits", logits(g, config, source, states, picks), "float32", ["rows", "picks", config.vqCodes]);
  return g.build();
}

/** Multiply-adds of one run, products only. */
export function layerWork(config: ModelConfig, kind: Kind, shape: LayerShape, middle: number): number {
  const { dModel, dModelGen, mlpHidden, mlpHiddenGen, vqCodes } = config;
  const { rows, cells, tokens, chosen, picks } = shape;
  if (kind === "ends") {
    const expanded = rows * (chosen * 4 * dModelGen ** 2 + picks * (dModelGen * middle + middle * vqCodes));
    return cells * 5 * dModelGen ** 2 + expanded;
  }
  const seen = cells + (kind === "joint" || kind === "last_joint" ? tokens : 0);
  const queries = kind === "last" ? chosen : cells;
  const perQuery = 2 * seen * dModel + 2 * dModelGen * dModel + 3 * dModelGen * mlpHiddenGen;
  let sum = rows * (2 * cells * dModelGen * dModel + queries * perQuery);
  if (kind === "last_joint") sum += rows * tokens * 2 * dModel ** 2;
  if (kind === "joint") sum += rows * tokens * (4 * dModel ** 2 + 2 * seen * dModel + 3 * dModel * mlpHidden);
  return sum;
}
