/**
 * How fast the runtime's own library multiplies matrices here: the yardstick for its use of the machine.
 *
 * @module
 */
import { GraphBuilder } from "../../kernels/onnx/graph.ts";
import { add, matmul } from "../../kernels/onnx/ops.ts";
import { linearHalf } from "../../kernels/onnx/quantize.ts";
import type { Engine } from "../../core/engine/types.ts";
import type { ModelConfig } from "../../core/model/config.ts";

export type GemmShape = readonly [m: number, k: number, n: number];

/** The products that a draw step is made of, and a large square one. */
export function gemmShapes(config: ModelConfig): GemmShape[] {
  const { dModel, dModelGen, mlpHiddenGen, grid } = config;
  const tokens = 2 * (grid / 2) ** 2;
  return [[tokens, dModelGen, dModel], [tokens, dModelGen, mlpHiddenGen], [tokens, mlpHiddenGen, dModelGen], [
    tokens,
    dModel,
    dModelGen,
  ], [1024, 1024, 1024]];
}

/** Best rates in multiply-adds a second, of MatMul with a constant right side as in the model's graphs. */
export async function gemmRates(engine: Engine, shapes: readonly GemmShape[], repeats: number): Promise<number[]> {
  const rates: number[] = [];
  for (const shape of shapes) rates.push(await gemmRate(engine, shape, repeats));
  return rates;
}

/** @param format of the right side: "float16" multiplies in fp16 where the runtime does. @default fp32 */
export async function gemmRate(
  engine: Engine,
  [m, k, n]: GemmShape,
  repeats: number,
  format?: "float16",
): Promise<number> {
  // Several products a run, so that the call's own cost does not count; their sum is one number.
  const products = Math.max(1, Math.round(2e8 / (m * k * n)));
  const g = new GraphBuilder("gemm");
  const x = g.input("x", "float32", [m, k]);
  const ones = g.initializer("ones", "float32", [n, 1], () => new Float32Array(n).fill(1));
  const sums = Array.from({ length: products }, (_, i) => {
    const load = () => Promise.resolve(Float32Array.from({ length: k * n }, Math.random));
    const product = format === undefined
      ? matmul(g, x, g.initializer(`right${i}`, "float32", [k, n], load))
      : linearHalf(g, x, { name: `right${i}`, dims: [k, n], format, load });
    return matmul(g, product, ones);
  });
  // Not Sum, which the WebGPU provider leaves to the CPU.
  g.output("y", sums.reduce((total, each) => add(g, total, each)), "float32", [m, 1]);
  const session = await engine.load(await g.build());
  const feeds = {
    x: { dtype: "float32", dims: [m, k], data: Float32Array.from({ length: m * k }, Math.random) },
  } as const;
  let best = Infinity;
  // The first run compiles.
  for (let i = 0; i <= repeats; i++) {
    const start = performance.now();
    await session.run(feeds, ["y"]);
    if (i > 0) best = Math.min(best, (performance.now() - start) / 1000);
  }
  await session.release();
  return products * (m * k * n + m * n) / best;
}
