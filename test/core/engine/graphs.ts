/** Small graphs that the engine's tests share. */
import type { Graph } from "../../../core/engine/types.ts";
import { GraphBuilder } from "../../../kernels/onnx/graph.ts";

const wave = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));

/** `softmax(x @ w)` and its largest entries: x [n, 32] -> p fp32 [n, 48], best int64 [n]. */
export function classifier(options: { readonly inlineLimit?: number } = {}): Promise<Graph> {
  const g = new GraphBuilder("classifier");
  const x = g.input("x", "float32", ["n", 32]);
  const logits = g.node("MatMul", [x, g.initializer("w", "float32", [32, 48], () => wave(32 * 48, 0.37))]);
  const p = g.node("Softmax", [logits], { axis: { integer: -1 } });
  g.output("p", p, "float32", ["n", 48]);
  const best = g.node("ArgMax", [p], { axis: { integer: -1 }, keepdims: { integer: 0 } });
  g.output("best", best, "int64", ["n"]);
  return g.build(options);
}

/** `table[ids]` in fp16: ids int64 [n] -> rows fp16 [n, 3]. The table counts 0, 1, 2, … in halves of 1.5 + i / 64. */
export function lookup(): Promise<Graph> {
  const g = new GraphBuilder("lookup");
  const ids = g.input("ids", "int64", ["n"]);
  const table = g.initializer(
    "table",
    "float16",
    [5, 3],
    () => Uint16Array.from({ length: 15 }, (_, i) => 0x3e00 + 16 * i),
  );
  g.output("rows", g.node("Gather", [table, ids], { axis: { integer: 0 } }), "float16", ["n", 3]);
  return g.build();
}

/** `h + h` in fp16: h fp16 [n] -> sum fp16 [n]. */
export function halves(): Promise<Graph> {
  const g = new GraphBuilder("halves");
  const h = g.input("h", "float16", ["n"]);
  g.output("sum", g.node("Add", [h, h]), "float16", ["n"]);
  return g.build();
}

/** `a + a` in int32, and whether it is over 6: a int32 [n] -> twice int32 [n], over bool [n]. */
export function twice(): Promise<Graph> {
  const g = new GraphBuilder("twice");
  const a = g.input("a", "int32", ["n"]);
  const sum = g.node("Add", [a, a]);
  g.output("twice", sum, "int32", ["n"]);
  const six = g.initializer("six", "int32", [1], () => Int32Array.of(6));
  g.output("over", g.node("Greater", [sum, six]), "bool", ["n"]);
  return g.build();
}

/** A determinant, which WebGPU has no kernel for: a fp32 [3, 3] -> d fp32 []. */
export async function determinant(cpuNodes?: string): Promise<Graph> {
  const g = new GraphBuilder("determinant");
  const a = g.input("a", "float32", [3, 3]);
  g.output("d", g.node("Det", [g.node("MatMul", [a, a])]), "float32", []);
  const graph = await g.build();
  return cpuNodes === undefined ? graph : { ...graph, cpuNodes };
}

/** `layers` products of side 512, for work that takes a while: x fp32 [512, 512] -> y fp32 [512, 512]. */
export function heavy(layers: number): Promise<Graph> {
  const g = new GraphBuilder("heavy");
  let x = g.input("x", "float32", [512, 512]);
  const w = g.initializer("w", "float32", [512, 512], () => wave(512 * 512, 0.011).map((v) => v / 64));
  for (let i = 0; i < layers; i++) x = g.node("MatMul", [x, w]);
  g.output("y", x, "float32", [512, 512]);
  return g.build();
}
