/**
 * A tiny real graph, and its answer by plain arithmetic. Every engine computes it once when it is opened: a runtime that
 * loads and then computes something else, or elsewhere, is found out before it draws.
 *
 * @module
 */
import { GraphBuilder } from "../../kernels/onnx/graph.ts";
import { UnmaskError } from "../errors.ts";
import type { Engine, Graph, HostTensor, ResidentTensor } from "./types.ts";

const ROWS = 5;
const INNER = 16;
const COLUMNS = 7;
/** fp32 with 16 products a sum of size 1. */
const TOLERANCE = 1e-5;

const table = Float32Array.from({ length: 9 * INNER }, (_, i) => Math.sin(i * 0.7));
const weights = Float32Array.from({ length: INNER * COLUMNS }, (_, i) => Math.cos(i * 1.3) / 4);
const bias = Float32Array.from({ length: COLUMNS }, (_, i) => i / 8 - 0.4);
const rows = BigInt64Array.of(8n, 0n, 3n, 3n, 1n);

/** `table[rows] @ weights + bias`: rows int64 [n] -> y fp32 [n, 7]. */
export function proofGraph(): Promise<Graph> {
  const graph = new GraphBuilder("proof");
  const ids = graph.input("rows", "int64", ["n"]);
  const gathered = graph.node("Gather", [graph.initializer("table", "float32", [9, INNER], () => table), ids], {
    axis: { integer: 0 },
  });
  const product = graph.node("MatMul", [
    gathered,
    graph.initializer("weights", "float32", [INNER, COLUMNS], () => weights),
  ]);
  const sum = graph.node("Add", [product, graph.initializer("bias", "float32", [COLUMNS], () => bias)]);
  graph.output("y", sum, "float32", ["n", COLUMNS]);
  return graph.build();
}

/**
 * Runs the graph once with its output resident and read back.
 *
 * @returns the largest absolute error
 * @throws `provider_wrong_numbers`
 */
export async function prove(engine: Engine): Promise<number> {
  const session = await engine.load(await proofGraph());
  try {
    const { y } = await session.run({ rows: { dtype: "int64", dims: [ROWS], data: rows } }, ["y"], ["y"]);
    const error = largestError(await toHost(y));
    if (error <= TOLERANCE) return error;
    throw new UnmaskError({
      code: "provider_wrong_numbers",
      message: `${engine.info.provider} on ${engine.info.device} is wrong by ${error} on a graph of three operators`,
      fix: "update the driver, or use another provider",
      status: 503,
    });
  } finally {
    await session.release();
  }
}

async function toHost(tensor: HostTensor | ResidentTensor | undefined): Promise<HostTensor> {
  if (tensor === undefined || "data" in tensor) throw new TypeError("an output that was to stay resident did not");
  try {
    return await tensor.read();
  } finally {
    tensor.release();
  }
}

function largestError({ data }: HostTensor): number {
  let largest = data.length === ROWS * COLUMNS ? 0 : Infinity;
  for (let row = 0; row < ROWS; row++) {
    for (let column = 0; column < COLUMNS; column++) {
      let sum = bias[column] ?? NaN;
      for (let k = 0; k < INNER; k++) {
        sum += (table[Number(rows[row]) * INNER + k] ?? NaN) * (weights[k * COLUMNS + column] ?? NaN);
      }
      const error = Math.abs(Number(data[row * COLUMNS + column]) - sum);
      // Not Math.max: a NaN must not pass.
      if (!(error <= largest)) largest = error;
    }
  }
  return largest;
}
