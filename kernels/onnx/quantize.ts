/**
 * Weights in fewer bits: fp16, and int4 in blocks of 32 as ONNX Runtime's MatMulNBits reads them. Values stay fp32 in
 * and out of every layer; only what is stored gets smaller.
 *
 * @module
 */
import type { GraphBuilder, Value } from "./graph.ts";
import type { Parameter } from "./layers.ts";

/** How a weight is stored. `int4` is for linear maps; norms, biases, convolutions and tables are then fp16. */
export type WeightFormat = "float16" | "int4";

/** Inputs that share a scale. */
export const BLOCK = 32;
const BLOCK_BYTES = BLOCK / 2;
/** The stored number that stands for 0 where no zero points are given. */
const ZERO = 8;
/** The stored extreme, -8, is given to the block's largest value; less than that clips it, which can be the better fit. */
const EXTREMES = [-8, -7.5, -8.5, 7.5, 7, -7] as const;

/** TensorProto.DataType, for Cast. */
const FLOAT = 1;
const HALF = 10;

/** MatMulNBits' weight: two numbers a byte, the lower four bits first. */
export interface Int4Matrix {
  /** uint8 [rows, blocks, 16] */
  readonly packed: Uint8Array;
  /** fp32 [rows * blocks] */
  readonly scales: Float32Array;
}

/** fp16 bits. @throws {RangeError} for a value that fp16 cannot hold */
export function toHalf(values: Float32Array, name: string): Uint16Array {
  const half = new Float16Array(values);
  for (let i = 0; i < half.length; i++) {
    if (Number.isFinite(half[i] ?? 0)) continue;
    throw new RangeError(`${name} holds ${values[i]}, which fp16 does not`);
  }
  return new Uint16Array(half.buffer);
}

/** Nearest multiples of a scale for each block of 32 along a row, the scale being the one with the least squared error. */
export function toInt4(values: Float32Array, rows: number, columns: number): Int4Matrix {
  const blocks = Math.ceil(columns / BLOCK);
  const packed = new Uint8Array(rows * blocks * BLOCK_BYTES);
  const scales = new Float32Array(rows * blocks);
  const levels = new Uint8Array(BLOCK);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const from = row * columns + block * BLOCK;
      const count = Math.min(BLOCK, columns - block * BLOCK);
      const scale = bestScale(values, from, count);
      levels.fill(ZERO); // behind the end of a row
      const inverse = scale === 0 ? 0 : 1 / scale;
      for (let i = 0; i < count; i++) levels[i] = level((values[from + i] ?? 0) * inverse) + ZERO;
      const at = (row * blocks + block) * BLOCK_BYTES;
      for (let i = 0; i < BLOCK_BYTES; i++) packed[at + i] = (levels[2 * i] ?? 0) | ((levels[2 * i + 1] ?? 0) << 4);
      scales[row * blocks + block] = scale;
    }
  }
  return { packed, scales };
}

function level(value: number): number {
  return Math.max(-8, Math.min(7, Math.round(value)));
}

function bestScale(values: Float32Array, from: number, count: number): number {
  let extreme = 0;
  for (let i = from; i < from + count; i++) {
    const value = values[i] ?? 0;
    if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  }
  if (!Number.isFinite(extreme)) throw new RangeError(`a weight holds ${extreme}`);
  let best = 0;
  let least = Infinity;
  for (const divisor of EXTREMES) {
    const scale = Math.fround(extreme / divisor);
    if (scale === 0) return 0;
    const inverse = 1 / scale;
    let error = 0;
    for (let i = from; i < from + count; i++) {
      const value = values[i] ?? 0;
      const difference = value - level(value * inverse) * scale;
      error += difference * difference;
    }
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

/** A weight as fp32 value from fp16 storage. A runtime folds the cast of a constant where it has no fp16 kernel. */
export function halfParameter(g: GraphBuilder, weight: Parameter): Value {
  return cast(g, halfInitializer(g, weight), FLOAT);
}

/** Rows of an fp16 table, as fp32: only the rows that are asked for are widened. */
export function halfRows(g: GraphBuilder, table: Parameter, indices: Value): Value {
  const rows = g.node("Gather", [halfInitializer(g, table), indices], { axis: { integer: 0 } });
  return cast(g, rows, FLOAT);
}

/**
 * x times an fp16 weight [out, in]. The product is fp16 where the runtime has that (WebGPU); its CPU has not, widens the
 * weight when it loads the graph, and drops the casts.
 */
export function linearHalf(g: GraphBuilder, x: Value, transposed: Parameter): Value {
  return cast(g, g.node("MatMul", [cast(g, x, HALF), halfInitializer(g, transposed)]), FLOAT);
}

/** x [..., in] times an int4 weight [out, in], products and sums in fp32. */
export function linearInt4(g: GraphBuilder, x: Value, weight: Parameter): Value {
  const [rows = 0, columns = 0] = weight.dims;
  const blocks = Math.ceil(columns / BLOCK);
  const matrix = shared(async () => toInt4(await weight.load(), rows, columns));
  const packed = g.initializer(
    `${weight.name}:int4`,
    "uint8",
    [rows, blocks, BLOCK_BYTES],
    async () => (await matrix()).packed,
  );
  const scales = g.initializer(
    `${weight.name}:scales`,
    "float32",
    [rows * blocks],
    async () => (await matrix()).scales,
  );
  return g.node("MatMulNBits", [x, packed, scales], {
    K: { integer: columns },
    N: { integer: rows },
    bits: { integer: 4 },
    block_size: { integer: BLOCK },
  }, "com.microsoft");
}

function halfInitializer(g: GraphBuilder, weight: Parameter): Value {
  return g.initializer(
    `${weight.name}:half`,
    "float16",
    weight.dims,
    async () => toHalf(await weight.load(), weight.name),
  );
}

function cast(g: GraphBuilder, value: Value, to: number): Value {
  return g.node("Cast", [value], { to: { integer: to } });
}

/** Makes a value once for its two takers, who come one after the other, and forgets it then. */
function shared<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    const value = made ?? make();
    made = made === undefined ? value : undefined;
    return value;
  };
}
