/**
 * Operators by their plain names. Only operators that ONNX Runtime has on CPU, WebGPU and wasm belong here.
 *
 * @module
 */
import type { GraphBuilder, Value } from "./graph.ts";

export function add(g: GraphBuilder, a: Value, b: Value): Value {
  return g.node("Add", [a, b]);
}

export function multiply(g: GraphBuilder, a: Value, b: Value): Value {
  return g.node("Mul", [a, b]);
}

export function matmul(g: GraphBuilder, a: Value, b: Value): Value {
  return g.node("MatMul", [a, b]);
}

export function concat(g: GraphBuilder, values: readonly Value[], axis: number): Value {
  return g.node("Concat", values, { axis: { integer: axis } });
}

/** Rows of `data` along `axis`; `indices` is int32 or int64, counted from 0. */
export function gather(g: GraphBuilder, data: Value, indices: Value, axis: number): Value {
  return g.node("Gather", [data, indices], { axis: { integer: axis } });
}

/** 0 in `dims` keeps an input's dimension, -1 is inferred (at most one). */
export function reshape(g: GraphBuilder, value: Value, dims: readonly number[]): Value {
  return g.node("Reshape", [value, g.integers(dims)]);
}

export function transpose(g: GraphBuilder, value: Value, permutation: readonly number[]): Value {
  return g.node("Transpose", [value], { perm: { integers: permutation } });
}

/** Sum along `axis`, which disappears. */
export function sum(g: GraphBuilder, value: Value, axis: number): Value {
  return g.node("ReduceSum", [value, g.integers([axis])], { keepdims: { integer: 0 } });
}

/**
 * Repeats `value` [1, a, b] for each row of `ones` [rows, 1, 1]. A product, not Expand: Expand's target shape is int64
 * arithmetic, which the WebGPU provider leaves to the CPU. Times 1 is exact.
 */
export function repeatRows(g: GraphBuilder, value: Value, ones: Value): Value {
  return multiply(g, value, ones);
}

/**
 * x * sigmoid(x). ONNX Runtime's CPU Sigmoid is right to 1.2e-7 absolute, not relative (measured, 1.30: the relative
 * error passes 2e-3 below -5), so this is right to 2e-6 for |x| up to 20.
 */
export function silu(g: GraphBuilder, value: Value): Value {
  return multiply(g, value, g.node("Sigmoid", [value]));
}

/** x * Phi(x), by the error function. */
export function gelu(g: GraphBuilder, value: Value): Value {
  return g.node("Gelu", [value], {}, "com.microsoft");
}

/** GELU with tanh in place of the error function. */
export function geluTanh(g: GraphBuilder, value: Value): Value {
  return g.node("FastGelu", [value], {}, "com.microsoft");
}

/** Index of the largest entry of the last axis, which disappears: int64. */
export function argmax(g: GraphBuilder, value: Value): Value {
  return g.node("ArgMax", [value], { axis: { integer: -1 }, keepdims: { integer: 0 } });
}
