/**
 * fp16 and int4 weights on the resident loop: a converted folder draws on the GPU what it draws on the CPU, wherever the
 * measured error cannot decide, with the same one read a step; norms and softmax are fp32 throughout.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import { difference, type GpuWatch, watchGpu } from "../../../core/engine/gpu_watch.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { convert } from "../../../core/model/convert/convert.ts";
import { formatted } from "../../../core/model/convert/formats.ts";
import { drawGraph } from "../../../core/model/graphs/draw.ts";
import { foldedRows } from "../../../core/model/graphs/vq_tokens.ts";
import { openModel } from "../../../core/model/open_model.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { GraphBuilder, type Value } from "../../../kernels/onnx/graph.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { randomWeights, smallConfig, smallSource } from "../model/small_model.ts";
import { Agreement, drawn, force } from "./forced.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;
const HALF = 10; // TensorProto.DataType
const draw = createDraw();
const input = { prompt: "a photo of a dog", seed: 5, steps: 6, guidance: 1.5 };

test.each(["fp16", "int4"] as const)(
  "%s: no norm, softmax or attention of the draw graph is given fp16",
  async (dtype) => {
    const config = smallConfig();
    const half = new Set<string>();
    const isHalf = (value: Value | undefined) => value !== undefined && half.has(value.name);
    const seen = new Map<string, number>();
    const { node, initializer } = GraphBuilder.prototype;
    GraphBuilder.prototype.initializer = function (name, type, ...rest) {
      const value = initializer.call(this, name, type, ...rest);
      if (type === "float16") half.add(value.name);
      return value;
    };
    GraphBuilder.prototype.node = function (operator, inputs, attributes, domain) {
      const value = node.call(this, operator, inputs, attributes, domain);
      const to = attributes?.["to"];
      const widened = operator === "Cast" ? to !== undefined && "integer" in to && to.integer === HALF : undefined;
      if (widened ?? inputs.some(isHalf)) half.add(value.name);
      const kind = `${operator}${inputs.some(isHalf) ? " in fp16" : ""}`;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      return value;
    };
    try {
      const tables = new Float32Array(foldedRows(config) * config.dModelGen);
      await drawGraph(config, formatted(randomWeights(config), dtype), { attention: "prefix", tables });
    } finally {
      Object.assign(GraphBuilder.prototype, { node, initializer });
    }
    const inHalf = [...seen.keys()].filter((kind) => kind.endsWith(" in fp16")).map((kind) => kind.split(" ")[0]);
    expect(seen.get("SimplifiedLayerNormalization")).toBeGreaterThan(3);
    expect(seen.get("MultiHeadAttention")).toBeGreaterThan(1);
    // What is left in fp16 are products, table look-ups and casts.
    expect(inHalf.filter((operator) => !["MatMul", "Gather", "Cast"].includes(operator ?? ""))).toEqual([]);
    if (dtype === "fp16") expect(inHalf).toContain("MatMul");
    else expect(seen.get("MatMulNBits")).toBeGreaterThan(10);
  },
);

describeWebGpu("small weight formats on the resident loop", () => {
  let watch: GpuWatch;
  let root: string;
  const engines: Engine[] = [];
  beforeAll(async () => {
    watch = watchGpu();
    root = await Deno.makeTempDir();
    engines.push(await openEngine({ provider: "webgpu", allowSoftwareAdapter: true }));
    engines.push(await openEngine({ provider: "cpu", threads: 1 }));
  }, SLOW);
  afterAll(async () => {
    for (const engine of engines) await engine.close();
    await Deno.remove(root, { recursive: true });
    watch?.stop();
  });

  // fp16 multiplies and sums in fp16: 1.1e-2 of the range measured on these weights, whose logits are small and have no
  // structure, so a quarter of the positions is undecided. int4 products are fp32 (1.2e-6 where all was int4), but what is
  // small stays fp16 beside them, and multiplies so: 5.6e-3.
  test.each([["fp16", 2e-2], ["int4", 1e-2]] as const)("%s draws what the CPU draws", async (dtype, tolerance) => {
    const [gpuEngine, cpuEngine] = engines;
    if (gpuEngine === undefined || cpuEngine === undefined) throw new Error("no engines");
    const folder = `${root}/${dtype}`;
    await convert({ source: smallSource(), to: folder, dtype, parts: ["draw"], engine: cpuEngine });
    const gpu = await openModel({ folder, engine: gpuEngine });
    const cpu = await openModel({ folder, engine: cpuEngine });
    const agreement = new Agreement();
    for (const seed of [1, 2, 3]) await force(gpu, await drawn(cpu, input.prompt, seed, 6), agreement);
    const sum = agreement.sum();
    console.info(`${dtype}: ${JSON.stringify(sum)}`);
    expect(sum.positions).toBe(3 * 64);
    expect(sum.wrong).toBe(0);
    expect(sum.error).toBeLessThan(tolerance);
    if (dtype === "fp16") expect(sum.error).toBeGreaterThan(1e-5); // it is fp16 that multiplies
    const stepper = await draw.open(draw.start(input, gpu), gpu);
    for (;;) {
      const before = watch.counts();
      const delta = await stepper.step();
      if (delta === null) break;
      const { reads, readBytes } = difference(before, watch.counts());
      expect({ reads, readBytes }).toEqual({ reads: 1, readBytes: 4 * Math.ceil(delta.ids.length / 2) }); // two ids a word
    }
    stepper.close();
    await gpu.close();
    await cpu.close();
  }, SLOW);
});
