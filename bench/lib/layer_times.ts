/**
 * Seconds of each kind of block of the published architecture on this GPU, and the whole model's step put together from
 * them.
 *
 * @module
 */
import { syntheticConfig, syntheticWeights } from "../../commands/fullsize/synthetic.ts";
import type { Gpu } from "../../core/engine/gpu.ts";
import type { Engine, HostTensor, ResidentTensor, Session } from "../../core/engine/types.ts";
import type { ModelConfig } from "../../core/model/config.ts";
import { formatted } from "../../core/model/convert/formats.ts";
import { modelLayout } from "../../core/model/layout.ts";
import { foldedRows } from "../../core/model/graphs/vq_tokens.ts";
import { positionRows } from "../../core/model/prompt_cache.ts";
import { gemmRate, type GemmShape } from "./gemm.ts";
import { type Kind, kindCounts, KINDS, layerGraph, type LayerShape, layerWork } from "./layers.ts";

export const FORMATS = ["float16", "int4"] as const;
export type Format = (typeof FORMATS)[number];

/** 1024 px: 64x64 ids in 32x32 cells, beside 120 tokens of text, guided; the last step of 64 reveals the most. */
export const FULL_SHAPE: LayerShape = { rows: 2, cells: 1024, tokens: 120, chosen: 150, picks: 160 };

/**
 * Compiles what FULL_SHAPE needs in a moment, with as many rows: the runtime's kernels take sizes as parameters, but those
 * of few rows are others, so no size is below 32.
 */
const WARM_SHAPE: Omit<LayerShape, "rows"> = { cells: 48, tokens: 32, chosen: 36, picks: 44 };

export interface LayerTime {
  readonly seconds: number;
  /** Of the measured GEMM rate in the format of the products: fp16, or fp32 for int4. */
  readonly gemm_share: number;
  /** Of the measured memory rate, weights alone. */
  readonly memory_share: number;
  readonly weight_bytes: number;
}

export interface FormatTimes {
  readonly gemm_rate: number;
  readonly kinds: Readonly<Record<Kind, LayerTime>>;
  /** Every layer of the whole model and its ends, one guided step. */
  readonly step_seconds: number;
  /** Weights that a step reads. */
  readonly step_weight_bytes: number;
}

export interface LayerOptions {
  readonly engine: Engine;
  readonly gpu: Gpu;
  /** Divides widths, heads, vocabulary and codes: 1, 2, 4, 8 or 16. */
  readonly scale: number;
  readonly shape: LayerShape;
  /** The product whose rate is the GEMM peak. @default that of the widest linear at `shape` */
  readonly product?: GemmShape;
  /** Of a block, after a small one that compiles. */
  readonly repeats: number;
  /** Of `product`. */
  readonly peakRepeats: number;
  /** Bytes a second. */
  readonly memoryRate: number;
  /** Seconds that a wait for the GPU costs by itself. */
  readonly wait: number;
  readonly note: (text: string) => void;
}

export async function layerTimes(options: LayerOptions, format: Format): Promise<FormatTimes> {
  const { engine, scale, shape, peakRepeats, memoryRate, note } = options;
  // One block of each kind; the counts are those of the whole model.
  const config = syntheticConfig({ scale, layers: 4 });
  const counts = kindCounts(syntheticConfig({ scale: 1 }));
  const weights = formatted(syntheticWeights(config, 1), format === "int4" ? "int4" : "fp16");
  const middle = modelLayout(config).get("model.gen_predictor.0.weight")?.dims[0] ?? config.dModelGen;
  const { product = [shape.rows * shape.cells, config.dModelGen, config.mlpHiddenGen] } = options;
  const rate = await gemmRate(engine, product, peakRepeats, format === "float16" ? "float16" : undefined);
  const kinds: Partial<Record<Kind, LayerTime>> = {};
  let [step, bytes] = [0, 0];
  for (const kind of KINDS) {
    const graph = await layerGraph(config, weights, kind);
    const session = await engine.load(graph);
    const seconds = await secondsOf(options, config, kind, session);
    await session.release();
    const time = {
      seconds,
      gemm_share: layerWork(config, kind, shape, middle) / seconds / rate,
      memory_share: graph.weightBytes / seconds / memoryRate,
      weight_bytes: graph.weightBytes,
    };
    kinds[kind] = time;
    step += counts[kind] * seconds;
    bytes += counts[kind] * graph.weightBytes;
    note(`${format} ${kind}: ${seconds.toPrecision(3)} s x ${counts[kind]}\n`);
  }
  return {
    gemm_rate: rate,
    kinds: kinds as Record<Kind, LayerTime>,
    step_seconds: step,
    step_weight_bytes: bytes,
  };
}

/** The least of `repeats` runs, after a small one that compiles. */
async function secondsOf(options: LayerOptions, config: ModelConfig, kind: Kind, session: Session): Promise<number> {
  const { gpu, shape, repeats, wait } = options;
  const flag = await gpu.tensor({ dtype: "int32", dims: [4], data: new Int32Array(4) });
  const finished = async () => void (await gpu.run({ dispatches: [], read: { tensor: flag, words: 1 } }));
  try {
    await runSeconds(await feedsOf(gpu, config, kind, { ...WARM_SHAPE, rows: shape.rows }), session, finished);
    const fed = await feedsOf(gpu, config, kind, shape);
    await finished();
    return Math.max(await runSeconds(fed, session, finished, repeats) - wait, 1e-9);
  } finally {
    flag.release();
  }
}

/** Feeds and outputs stay on the GPU; both are released. */
async function runSeconds(
  { feeds, outputs }: Awaited<ReturnType<typeof feedsOf>>,
  session: Session,
  finished: () => Promise<void>,
  repeats = 1,
): Promise<number> {
  try {
    let best = Infinity;
    for (let run = 0; run < repeats; run++) {
      const start = performance.now();
      const kept = await session.run(feeds, outputs, outputs);
      await finished();
      best = Math.min(best, (performance.now() - start) / 1000);
      for (const tensor of Object.values(kept)) if ("release" in tensor) tensor.release();
    }
    return best;
  } finally {
    for (const tensor of Object.values(feeds)) if ("release" in tensor) tensor.release();
  }
}

async function feedsOf(gpu: Gpu, config: ModelConfig, kind: Kind, shape: LayerShape) {
  const { rows, cells, tokens, chosen, picks } = shape;
  const { dModel, dModelGen } = config;
  const floats = (...dims: number[]): HostTensor => ({
    dtype: "float32",
    dims,
    data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 0.37)),
  });
  const spread = Int32Array.from({ length: chosen }, (_, i) => Math.floor(i * cells / chosen));
  const feeds: Record<string, HostTensor | ResidentTensor> = {};
  if (kind === "ends") {
    const data = Int32Array.from({ length: 4 * cells }, (_, i) => 4 * (i % foldedRows(config)) + i % 4);
    feeds["corner_rows"] = { dtype: "int32", dims: [1, cells, 4], data };
    feeds["states"] = await gpu.tensor(floats(rows, chosen, dModelGen));
    const chosenPicks = Int32Array.from({ length: picks }, (_, i) => (4 * i + i % 4) % (4 * chosen));
    feeds["picks"] = { dtype: "int32", dims: [picks], data: chosenPicks };
    return { feeds, outputs: ["tokens", "logits"] };
  }
  feeds["x"] = await gpu.tensor(floats(rows, cells, dModelGen));
  feeds["positions"] = positionRows(rows, cells, (cell) => tokens + cell);
  if (kind === "last") {
    feeds["chosen"] = { dtype: "int32", dims: [chosen], data: spread };
    feeds["chosen_positions"] = positionRows(rows, chosen, (i) => tokens + (spread[i] ?? 0));
  }
  if (kind === "joint" || kind === "last_joint") {
    feeds["text"] = await gpu.tensor(floats(rows, tokens, dModel));
    feeds["text_positions"] = positionRows(rows, tokens, (token) => token);
  }
  return { feeds, outputs: kind === "joint" ? ["y", "text_y"] : ["y"] };
}
