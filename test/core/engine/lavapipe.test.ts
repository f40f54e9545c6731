/** Mesa's software Vulkan must not compile a kernel again in each dispatch, and keep what it compiled. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { GpuCanvas } from "../../../core/diffusion/gpu_pick.ts";
import type { PickPlan } from "../../../core/diffusion/pick.ts";
import { findAdapter } from "../../../core/engine/adapter.ts";
import { openEngine } from "../../../core/engine/choose.ts";
import { isLavapipe, uniformsAsStorage } from "../../../core/engine/lavapipe.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { describeWebGpu } from "./adapter.ts";

const SLOW = 600_000;
const lavapipe = await findAdapter().then((adapter) => adapter !== null && isLavapipe(adapter));

/** Bytes of machine code that a driver wrote: anonymous memory that is executable and not V8's, which is writable too. */
async function compiledBytes(): Promise<number> {
  let [kilobytes, counts] = [0, false];
  for (const line of (await Deno.readTextFile("/proc/self/smaps")).split("\n")) {
    const head = /^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+\s*(\S*)$/.exec(line);
    if (head !== null) counts = head[1] === "r-xp" && head[2] === "";
    const resident = /^Rss:\s+(\d+) kB$/.exec(line);
    if (counts && resident !== null) kilobytes += Number(resident[1]);
  }
  return 1024 * kilobytes;
}

test("lavapipe is known by its device's name", () => {
  expect(isLavapipe({ description: "llvmpipe (LLVM 15.0.6, 256 bits)" })).toBe(true);
  expect(isLavapipe({ description: "SwiftShader Device (Subzero)" })).toBe(false);
  expect(isLavapipe({ description: "NVIDIA H100 80GB HBM3" })).toBe(false);
});

describeWebGpu("uniforms as storage", () => {
  let engine: Engine;
  beforeAll(async () => void (engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true })), SLOW);
  afterAll(() => engine?.close());

  test("a shader reads what it calls uniform, in a layout of its own too", async () => {
    const device = await (await navigator.gpu.requestAdapter())?.requestDevice();
    if (device === undefined) throw new Error("no device");
    uniformsAsStorage(device);
    device.pushErrorScope("validation");
    const { COMPUTE } = GPUShaderStage;
    const { UNIFORM, STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
    const code = `struct P { factor: f32, more: vec3<u32> }
      @group(0) @binding(0) var<uniform> p: P;
      @group(0) @binding(1) var <uniform > q: vec4<f32>;
      @group(0) @binding(2) var<storage, read_write> y: array<f32>;
      @compute @workgroup_size(1) fn main() { y[0] = p.factor * q.y + f32(p.more.z); }`;
    const layout = device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: COMPUTE, buffer: { type: "uniform", minBindingSize: 32 } },
        { binding: 1, visibility: COMPUTE, buffer: {} },
        { binding: 2, visibility: COMPUTE, buffer: { type: "storage" } },
      ],
    });
    const buffers = [UNIFORM | COPY_DST, UNIFORM | COPY_DST, STORAGE | COPY_SRC, MAP_READ | COPY_DST]
      .map((usage) => device.createBuffer({ size: 32, usage }));
    expect(buffers[0]?.usage).toBe(UNIFORM | COPY_DST);
    const [p, q, y, staging] = buffers as [GPUBuffer, GPUBuffer, GPUBuffer, GPUBuffer];
    device.queue.writeBuffer(p, 0, Float32Array.of(3));
    device.queue.writeBuffer(p, 16, Uint32Array.of(0, 0, 5));
    device.queue.writeBuffer(q, 0, Float32Array.of(0, 7));
    const pipeline = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    });
    const entries = [p, q, y].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(y, 0, staging, 0, 4);
    device.queue.submit([encoder.finish()]);
    expect(await device.popErrorScope()).toBeNull();
    await staging.mapAsync(GPUMapMode.READ);
    expect(new Float32Array(staging.getMappedRange())[0]).toBe(26);
    device.destroy();
  }, SLOW);

  test.skipIf(!lavapipe)("a kernel of ours is compiled once, however often it runs", async () => {
    const { gpu } = engine;
    if (gpu === undefined) throw new Error("no gpu");
    const ids = new Uint16Array(16).fill(512);
    const canvas = await GpuCanvas.open(gpu, ids, new Uint16Array(16), { vocabulary: 512, seed: 1 });
    const tensor = await gpu.tensor({
      dtype: "float32",
      dims: [40],
      data: Float32Array.from({ length: 40 }, Math.sin),
    });
    const pick = (step: number) => {
      const common = { step, count: 1, guidance: 1, temperature: 1, filter: { topK: 0, topP: 1 } };
      const plan: PickPlan = { ...common, positions: Uint32Array.of(step % 16) };
      return canvas.pick([{ tensor, offset: 0 }, { tensor, offset: 0 }], plan);
    };
    for (let step = 1; step <= 3; step++) await pick(step);
    const before = await compiledBytes();
    expect(before).toBeGreaterThan(0);
    for (let step = 4; step < 34; step++) await pick(step);
    // One that was compiled anew adds some 70 kB each time.
    expect(await compiledBytes() - before).toBeLessThan(300_000);
    tensor.release();
    canvas.release();
  }, SLOW);
});
