/** Each provider computes the same, keeps what it is told to keep, and refuses what it cannot do. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, HostTensor, Provider, ResidentTensor } from "../../../core/engine/types.ts";
import { describeWebGpu } from "./adapter.ts";
import { classifier, determinant, halves, lookup, twice } from "./graphs.ts";

const ROWS = 6;
const x: HostTensor = {
  dtype: "float32",
  dims: [ROWS, 32],
  data: Float32Array.from({ length: ROWS * 32 }, (_, i) => Math.cos(i * 0.51)),
};

function onHost(tensor: HostTensor | ResidentTensor | undefined): HostTensor {
  if (tensor !== undefined && "data" in tensor) return tensor;
  throw new Error("expected a tensor on the host");
}

function resident(tensor: HostTensor | ResidentTensor | undefined): ResidentTensor {
  if (tensor !== undefined && "read" in tensor) return tensor;
  throw new Error("expected a resident tensor");
}

/** The classifier in double precision. */
function expected(): { p: number[]; best: number[] } {
  const p: number[] = [];
  const best: number[] = [];
  for (let row = 0; row < ROWS; row++) {
    const logits = Array.from({ length: 48 }, (_, column) => {
      let sum = 0;
      for (let k = 0; k < 32; k++) {
        sum += Number(x.data[row * 32 + k]) * Math.fround(Math.sin((k * 48 + column) * 0.37));
      }
      return sum;
    });
    const largest = Math.max(...logits);
    const exps = logits.map((logit) => Math.exp(logit - largest));
    const total = exps.reduce((a, b) => a + b);
    p.push(...exps.map((e) => e / total));
    best.push(logits.indexOf(largest));
  }
  return { p, best };
}

function contract(provider: Provider, options: { readonly allowSoftwareAdapter?: boolean } = {}): void {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngine({ provider, ...options });
  });
  afterAll(() => engine.close());

  it("says what it is", () => {
    expect(engine.info.provider).toBe(provider);
    expect(engine.info.runtime).toMatch(/^onnxruntime-(node|web) 1\.30\.0$/);
    expect(engine.info.device).not.toBe("");
    expect(engine.info.threads).toBeGreaterThanOrEqual(1);
  });

  it.each([{ where: "in the message" }, { where: "in external data", inlineLimit: 0 }])(
    "computes what plain arithmetic computes, weights $where",
    async ({ inlineLimit }) => {
      const graph = await classifier(inlineLimit === undefined ? {} : { inlineLimit });
      expect(graph.externalData?.length ?? 0).toBe(inlineLimit === undefined ? 0 : 1);
      const session = await engine.load(graph);
      const result = await session.run({ x }, ["p", "best"]);
      const want = expected();
      const p = onHost(result["p"]);
      expect(p.dims).toEqual([ROWS, 48]);
      const worst = Math.max(...want.p.map((value, i) => Math.abs(value - Number(p.data[i]))));
      expect(worst).toBeLessThan(2e-6);
      const best = onHost(result["best"]);
      expect(best.dtype).toBe("int64");
      expect([...best.data as BigInt64Array].map(Number)).toEqual(want.best);
      await session.release();
    },
  );

  it("speaks int64 in and fp16 out as raw words", async () => {
    const session = await engine.load(await lookup());
    const { rows } = await session.run({ ids: { dtype: "int64", dims: [2], data: BigInt64Array.of(4n, 1n) } }, [
      "rows",
    ]);
    expect(onHost(rows).dtype).toBe("float16");
    expect(onHost(rows).data).toEqual(Uint16Array.of(...[12, 13, 14, 3, 4, 5].map((i) => 0x3e00 + 16 * i)));
  });

  it("speaks fp16 in as raw words", async () => {
    const session = await engine.load(await halves());
    // 1, 1.5, -2 and the smallest normal number; twice each is one more in the exponent, at bit 10.
    const words = Uint16Array.of(0x3c00, 0x3e00, 0xc000, 0x0400);
    const { sum } = await session.run({ h: { dtype: "float16", dims: [4], data: words } }, ["sum"]);
    expect(onHost(sum).data).toEqual(words.map((word) => word + 0x400));
  });

  it("speaks int32 and bool, one element too", async () => {
    const session = await engine.load(await twice());
    const three = await session.run({ a: { dtype: "int32", dims: [3], data: Int32Array.of(2, 3, -4) } }, [
      "over",
      "twice",
    ]);
    expect(onHost(three["twice"]).data).toEqual(Int32Array.of(4, 6, -8));
    const four = await session.run({ a: { dtype: "int32", dims: [1], data: Int32Array.of(4) } }, ["over"]);
    expect(onHost(four["over"]).data).toEqual(Uint8Array.of(1));
  });

  it("keeps an output and takes it as a feed, as often as wanted, until it is released", async () => {
    const session = await engine.load(await twice());
    const a: HostTensor = { dtype: "int32", dims: [2], data: Int32Array.of(5, 7) };
    const first = resident((await session.run({ a }, ["twice"], ["twice"]))["twice"]);
    expect(first).toMatchObject({ dtype: "int32", dims: [2] });
    const second = resident((await session.run({ a: first }, ["twice"], ["twice"]))["twice"]);
    const third = await session.run({ a: second }, ["twice"]);
    expect(onHost(third["twice"]).data).toEqual(Int32Array.of(40, 56));
    const copy = await first.read();
    copy.data.fill(0 as never);
    expect((await first.read()).data).toEqual(Int32Array.of(10, 14));
    first.release();
    first.release();
    await expect(first.read()).rejects.toMatchObject({ code: "tensor_released" });
    await expect(session.run({ a: first }, ["twice"])).rejects.toMatchObject({ code: "tensor_released" });
    second.release();
  });

  it("gives the same bits twice", async () => {
    const session = await engine.load(await classifier());
    const once = onHost((await session.run({ x }, ["p"]))["p"]);
    const again = onHost((await session.run({ x }, ["p"]))["p"]);
    expect(again.data).toEqual(once.data);
  });

  it.each([
    ["graph_input_missing", {}, ["p"], []],
    ["graph_input_unknown", { x, z: x }, ["p"], []],
    ["graph_output_unknown", { x }, ["q"], []],
    ["graph_output_unknown", { x }, ["p"], ["best"]],
    ["tensor_shape_mismatch", { x: { ...x, dims: [ROWS - 1, 32] } }, ["p"], []],
    ["tensor_type_mismatch", { x: { ...x, data: Int32Array.from(x.data, Number) } }, ["p"], []],
    ["graph_input_mismatch", { x: { ...x, dtype: "int32" as const, data: new Int32Array(x.data.length) } }, ["p"], []],
    ["graph_input_mismatch", { x: { ...x, dims: [x.data.length] } }, ["p"], []],
    ["graph_input_mismatch", { x: { ...x, dims: [32, ROWS] } }, ["p"], []],
  ])("refuses with %s and goes on", async (code, feeds, outputs, keep) => {
    const session = await engine.load(await classifier());
    await expect(session.run(feeds as Record<string, HostTensor>, outputs, keep)).rejects.toMatchObject({ code });
    expect(onHost((await session.run({ x }, ["best"]))["best"]).data.length).toBe(ROWS);
  });

  it("refuses what is no graph, a released session and a closed engine", async () => {
    const bad = engine.load({ name: "noise", model: new Uint8Array(64).fill(7) });
    await expect(bad).rejects.toMatchObject({ code: "graph_refused" });
    const session = await engine.load(await twice());
    await session.release();
    await session.release();
    await expect(session.run({}, [])).rejects.toMatchObject({ code: "session_released" });
    const other = await openEngine({ provider, ...options });
    await other.close();
    await expect(other.load(await twice())).rejects.toMatchObject({ code: "engine_closed" });
  });

  it("refuses a tensor that is resident in another engine", async () => {
    const other = await openEngine({ provider, ...options });
    const session = await other.load(await twice());
    const a: HostTensor = { dtype: "int32", dims: [1], data: Int32Array.of(1) };
    const foreign = resident((await session.run({ a }, ["twice"], ["twice"]))["twice"]);
    const own = await engine.load(await twice());
    await expect(own.run({ a: foreign }, ["twice"])).rejects.toMatchObject({ code: "tensor_of_another_engine" });
    foreign.release();
    await other.close();
  });
}

describe("cpu", () => {
  contract("cpu");
  it("takes the thread count that it is given, and refuses others", async () => {
    const engine = await openEngine({ provider: "cpu", threads: 2 });
    expect(engine.info.threads).toBe(2);
    await engine.close();
    await expect(openEngine({ provider: "cpu", threads: 0 })).rejects.toMatchObject({ code: "threads_out_of_range" });
    await expect(openEngine({ provider: "cpu", threads: 1.5 })).rejects.toMatchObject({ param: "threads" });
  });
});

describe("wasm", () => {
  contract("wasm");
  it("cannot change its thread count in the same thread", async () => {
    await expect(openEngine({ provider: "wasm", threads: 7 })).rejects.toMatchObject({ code: "threads_fixed" });
  });
});

describeWebGpu("webgpu", () => {
  contract("webgpu", { allowSoftwareAdapter: true });

  it("refuses a graph that would fall to the CPU, unless the graph says why", async () => {
    const engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
    await expect(engine.load(await determinant())).rejects.toMatchObject({ code: "graph_not_on_gpu" });
    const session = await engine.load(await determinant("WebGPU has no Det"));
    const a: HostTensor = { dtype: "float32", dims: [3, 3], data: Float32Array.of(2, 0, 0, 0, 3, 0, 0, 0, 1) };
    expect(onHost((await session.run({ a }, ["d"]))["d"]).data[0]).toBeCloseTo(36, 4);
    await engine.close();
  });
});
