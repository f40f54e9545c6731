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
/**
 * What a block's largest value may be stored as: -8 holds it, -8.5 clips it a little and is the better fit for most of the
 * others. The two leave 14 % less error than even steps to 7 (measured on normal numbers); more candidates 1 % less again.
 */
const EXTREMES = [-8, -8.5] as const;

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
  const block = new Float64Array(BLOCK);
  for (let at = 0; at < scales.length; at++) {
    const column = (at % blocks) * BLOCK;
    const from = Math.floor(at / blocks) * columns + column;
    const count = Math.min(BLOCK, columns - column);
    block.fill(0); // behind the end of a row
    for (let i = 0; i < count; i++) block[i] = values[from + i] as number;
    const scale = bestScale(block);
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = 0; i < BLOCK_BYTES; i++) {
      const low = stored((block[2 * i] as number) * inverse);
      packed[at * BLOCK_BYTES + i] = low | (stored((block[2 * i + 1] as number) * inverse) << 4);
    }
    scales[at] = scale;
  }
  return { packed, scales };
}

/** The nearest of 0 to 15, which stand for -8 to 7. */
function stored(value: number): number {
  const shifted = value + ZERO + 0.5;
  return shifted < 0 ? 0 : shifted > 15 ? 15 : shifted | 0;
}

/** @param block [32] */
function bestScale(block: Float64Array): number {
  let extreme = 0;
  for (let i = 0; i < BLOCK; i++) {
    const value = block[i] as number;
    if (Math.abs(value) > Math.abs(extreme) || value !== value) extreme = value;
  }
  if (!Number.isFinite(extreme)) throw new RangeError(`a weight holds ${extreme}`);
  let best = 0;
  let least = Infinity;
  for (let candidate = 0; candidate < EXTREMES.length; candidate++) {
    const scale = Math.fround(extreme / (EXTREMES[candidate] as number));
    if (scale === 0) return 0;
    const inverse = 1 / scale;
    let error = 0;
    for (let i = 0; i < BLOCK; i++) {
      const value = block[i] as number;
      const difference = value - (stored(value * inverse) - ZERO) * scale;
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
