/**
 * The block of facts 1.2 and 1.3 for either branch. Both branches have heads of the same size, so queries, keys and
 * values of both meet in one attention; the output projection is shared, and the generation branch uses its first
 * `dModelGen` rows only.
 *
 * @module
 */
import type { GraphBuilder, Value } from "../../../kernels/onnx/graph.ts";
import {
  attention,
  gatedMlp,
  linear,
  rmsNorm,
  type RotaryTables,
  rotaryTables,
  rotate,
} from "../../../kernels/onnx/layers.ts";
import { add, concat } from "../../../kernels/onnx/ops.ts";
import type { ModelConfig } from "../config.ts";
import { derived, firstRows, someRows, type TensorSource, weight } from "../weights.ts";

/** Rotated keys and values of some tokens, each [rows, tokens, dModel] fp32. */
export interface KeysValues {
  readonly keys: Value;
  readonly values: Value;
}

/** One of the two branches: `language` (text, SigLIP tokens) or `generation` (VQ tokens). */
export class Branch {
  readonly width: number;
  #g: GraphBuilder;
  #config: ModelConfig;
  #source: TensorSource;
  #suffix: "" | "_vision";
  #tables: RotaryTables;

  constructor(g: GraphBuilder, config: ModelConfig, source: TensorSource, kind: "language" | "generation") {
    this.#g = g;
    this.#config = config;
    this.#source = source;
    this.#suffix = kind === "language" ? "" : "_vision";
    this.width = kind === "language" ? config.dModel : config.dModelGen;
    this.#tables = rotaryTables(g, {
      positions: config.maxPositions,
      headSize: config.headSize,
      theta: config.ropeTheta,
    });
  }

  /** The first norm of block `layer`; queries, keys and values are made from it. */
  normed(layer: number, x: Value): Value {
    return rmsNorm(this.#g, x, this.#weight(layer, "attn_norm"), this.#config.rmsNormEpsilon);
  }

  /** `positions`: int64 [rows, tokens], counted in the whole sequence. */
  queries(layer: number, normed: Value, positions: Value): Value {
    return rotate(this.#g, linear(this.#g, normed, this.#weight(layer, "q_proj")), positions, this.#tables);
  }

  /** Offers `block{i}.keys.{text|gen}` (before rotation) and `block{i}.values.{text|gen}`. */
  keysValues(layer: number, normed: Value, positions: Value): KeysValues {
    const g = this.#g;
    const kind = this.#suffix === "" ? "text" : "gen";
    const shape = [`rows.${kind}`, `tokens.${kind}`, this.#config.dModel];
    const keys = linear(g, normed, this.#weight(layer, "k_proj"));
    return {
      keys: rotate(g, g.observe(`block${layer}.keys.${kind}`, keys, shape), positions, this.#tables),
      values: g.observe(`block${layer}.values.${kind}`, linear(g, normed, this.#weight(layer, "v_proj")), shape),
    };
  }

  /** The rest of the block: attention, output projection, MLP. x: [rows, tokens, width], or [1, ...] for all rows. */
  finish(layer: number, x: Value, queries: Value, seen: KeysValues): Value {
    const g = this.#g;
    const attended = attention(g, queries, seen.keys, seen.values, this.#config.heads);
    const middle = add(g, x, this.#output(layer, attended));
    const normed = rmsNorm(g, middle, this.#weight(layer, "ff_norm"), this.#config.rmsNormEpsilon);
    const mlp = gatedMlp(g, normed, {
      gate: this.#weight(layer, "ff_proj"),
      up: this.#weight(layer, "up_proj"),
      down: this.#weight(layer, "ff_out"),
    });
    return add(g, middle, mlp);
  }

  /**
   * `ln_f` divides the sum of squares by dModel for both branches (facts 1.3). For the generation branch that is a norm
   * over its own width with epsilon scaled by dModel / width and weights by the root of it.
   */
  finalNorm(x: Value): Value {
    const ratio = this.#config.dModel / this.width;
    const root = Math.sqrt(ratio);
    const whole = weight(this.#source, "model.transformer.ln_f.weight");
    const own = ratio === 1 ? whole : derived(
      whole,
      `generation`,
      [this.width],
      (values) => values.slice(0, this.width).map((value) => value * root),
    );
    return rmsNorm(this.#g, x, own, this.#config.rmsNormEpsilon * ratio);
  }

  /** The output projection, which both branches share: the generation branch uses its first rows only. */
  #output(layer: number, attended: Value): Value {
    const name = `model.transformer.blocks.${layer}.attn_out.weight`;
    const { dModel, dModelGen } = this.#config;
    if (this.width !== dModel) return linear(this.#g, attended, firstRows(this.#source, name, this.width));
    const whole = weight(this.#source, name);
    // Small formats are for small memory: a graph with both branches holds the rows that both use once.
    if (whole.format === undefined || dModel === dModelGen) return linear(this.#g, attended, whole);
    const first = linear(this.#g, attended, firstRows(this.#source, name, dModelGen));
    const rest = linear(this.#g, attended, someRows(this.#source, name, dModelGen, dModel - dModelGen));
    return concat(this.#g, [first, rest], -1);
  }

  #weight(layer: number, name: string) {
    return weight(this.#source, `model.transformer.blocks.${layer}.${name}${this.#suffix}.weight`);
  }
}

/** Both kinds of tokens as one set; attention without a mask does not care for their order. */
export function joined(g: GraphBuilder, first: KeysValues, second: KeysValues): KeysValues {
  return {
    keys: concat(g, [first.keys, second.keys], 1),
    values: concat(g, [first.values, second.values], 1),
  };
}
