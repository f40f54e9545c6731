/**
 * Weights by their published names, read when a graph is built, and the few ways in which graphs derive one weight from
 * another.
 *
 * @module
 */
import type { Parameter } from "../../kernels/onnx/layers.ts";
import type { WeightFormat } from "../../kernels/onnx/quantize.ts";
import { UnmaskError } from "../errors.ts";

/** Named fp32 tensors, wherever they are kept. */
export interface TensorSource {
  /** The shape, or undefined if there is no such tensor. */
  dims(name: string): readonly number[] | undefined;
  /** Row-major fp32 values. */
  read(name: string): Promise<Float32Array>;
  /** Rows `first` to `first + count` along the first dimension, without reading the others. */
  readRows(name: string, first: number, count: number): Promise<Float32Array>;
  /** How graphs shall store what is made of a tensor. @default fp32 */
  readonly format?: (name: string) => WeightFormat | undefined;
}

/** A tensor as a graph's weight. @throws {UnmaskError} `tensor_missing` */
export function weight(source: TensorSource, name: string): Parameter {
  const dims = source.dims(name);
  if (dims === undefined) {
    throw new UnmaskError({
      code: "tensor_missing",
      message: `the model has no tensor ${name}`,
      fix: "load the part of the model that holds it",
    });
  }
  return { name, dims, format: source.format?.(name), load: () => source.read(name) };
}

/** The first `count` rows of a tensor. */
export function firstRows(source: TensorSource, name: string, count: number): Parameter {
  return { ...someRows(source, name, 0, count), name: `${name}:rows${count}` };
}

/** `count` rows of a tensor from row `first` on. */
export function someRows(source: TensorSource, name: string, first: number, count: number): Parameter {
  const { dims, format } = weight(source, name);
  return {
    name: `${name}:${first}+${count}`,
    dims: [count, ...dims.slice(1)],
    format,
    load: () => source.readRows(name, first, count),
  };
}

/** `of` applied to the values of one weight; `name` and `dims` are those of the result. */
export function derived(
  base: Parameter,
  name: string,
  dims: readonly number[],
  of: (values: Float32Array) => Float32Array,
): Parameter {
  return { name: `${base.name}:${name}`, dims, format: base.format, load: async () => of(await base.load()) };
}

/** One linear map for two in a row: second [c, b] times first [b, a], summed in fp64. */
export function fused(second: Parameter, first: Parameter): Parameter {
  const [c = 0, b = 0] = second.dims;
  const [, a = 0] = first.dims;
  return {
    name: `${second.name}*${first.name}`,
    dims: [c, a],
    format: second.format,
    load: async () => product(await second.load(), await first.load(), c, b, a),
  };
}

function product(left: Float32Array, right: Float32Array, rows: number, inner: number, columns: number): Float32Array {
  const result = new Float32Array(rows * columns);
  const row = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    row.fill(0);
    for (let k = 0; k < inner; k++) {
      const factor = left[i * inner + k] ?? 0;
      for (let j = 0; j < columns; j++) row[j] = (row[j] ?? 0) + factor * (right[k * columns + j] ?? 0);
    }
    result.set(row, i * columns);
  }
  return result;
}
