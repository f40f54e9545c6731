/** One call of the runtime at a time, whoever asks. */
import { describe, expect, it } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import { exclusive, lockCounters } from "../../../core/engine/lock.ts";
import type { OrtModule, Runtime } from "../../../core/engine/ort.ts";
import { OrtEngine } from "../../../core/engine/ort_engine.ts";
import type { HostTensor } from "../../../core/engine/types.ts";
import { describeWebGpu } from "./adapter.ts";
import { classifier, twice } from "./graphs.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("exclusive", () => {
  it("lets one at a time in, in the order of asking, and a failure stops nobody", async () => {
    const log: string[] = [];
    const work = (name: string, ms: number) => async () => {
      log.push(`${name} in`);
      await pause(ms);
      log.push(`${name} out`);
      if (name === "b") throw new Error("b fails");
      return name;
    };
    const results = await Promise.allSettled([
      exclusive(work("a", 20)),
      exclusive(work("b", 1)),
      exclusive(work("c", 5)),
    ]);
    expect(log).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("counts what was at work at once", async () => {
    const before = lockCounters().entries;
    await Promise.all(Array.from({ length: 10 }, () => exclusive(() => pause(1))));
    expect(lockCounters()).toEqual({ entries: before + 10, peak: 1 });
  });
});

/** A stand-in for onnxruntime that counts how many of its calls overlap. Every output is GPU-resident. */
function overlapping() {
  let inside = 0;
  const seen = { peak: 0, calls: 0, runs: 0, disposed: 0 };
  const during = async <T>(result: T): Promise<T> => {
    seen.calls++;
    seen.peak = Math.max(seen.peak, ++inside);
    await pause(Math.random() * 4);
    inside--;
    return result;
  };
  class Tensor {
    readonly location = "gpu-buffer";
    constructor(readonly type: string, readonly data: unknown, readonly dims: readonly number[]) {}
    dispose() {
      // Synchronous, so it overlaps whatever is inside at this moment.
      seen.peak = Math.max(seen.peak, inside + 1);
      seen.disposed++;
    }
  }
  let fail = false;
  const session = {
    inputNames: ["a"],
    outputNames: ["twice"],
    inputMetadata: [{ name: "a", isTensor: true, type: "int32", shape: ["n"] }],
    run: async () => {
      seen.runs++;
      await during(undefined);
      if (fail) throw new Error("at /build/agent/ort/core/run.cc:12 it failed\nwith more");
      return { twice: new Tensor("int32", Int32Array.of(2), [1]) };
    },
    release: () => during(undefined),
  };
  const runtime: Runtime = {
    ort: { Tensor, InferenceSession: { create: () => during(session) } } as unknown as OrtModule,
    info: { provider: "webgpu", runtime: "stand-in", device: "none", software: true, threads: 1 },
    sessionOptions: {},
    location: "gpu-buffer",
    download: (tensors) =>
      during(tensors.map(({ dims }) => ({ dtype: "int32", dims: [...dims], data: Int32Array.of(2) } as const))),
  };
  return { engine: new OrtEngine(runtime), seen, failNow: () => fail = true };
}

const a: HostTensor = { dtype: "int32", dims: [1], data: Int32Array.of(1) };

describe("an engine", () => {
  it("never lets create, run, read, dispose and release of any session overlap", async () => {
    const { engine, seen } = overlapping();
    const graph = { name: "twice", model: new Uint8Array(0) };
    await Promise.all(Array.from({ length: 12 }, async (_, i) => {
      const session = await engine.load(graph);
      const runs = await Promise.all([
        session.run({ a }, ["twice"]),
        session.run({ a }, ["twice"], ["twice"]),
        session.run({ a }, ["twice"]),
      ]);
      const kept = runs[1]["twice"];
      if (kept === undefined || !("read" in kept)) throw new Error("not resident");
      const reads = [kept.read(), session.run({ a: kept }, ["twice"])];
      kept.release();
      await Promise.all(reads);
      if (i % 2 === 0) await session.release();
    }));
    await engine.close();
    // 12 x (create + 4 runs + 3 downloads of runs + 1 read + release)
    expect(seen).toEqual({ peak: 1, calls: 12 * 10, runs: 48, disposed: 48 });
  });

  it("does not run a session again whose run failed on the GPU, and names no path", async () => {
    const { engine, seen, failNow } = overlapping();
    const session = await engine.load({ name: "twice", model: new Uint8Array(0) });
    failNow();
    await expect(session.run({ a }, ["twice"])).rejects.toMatchObject({
      code: "inference_failed",
      message: "graph twice failed on webgpu: at run.cc:12 it failed",
    });
    await expect(session.run({ a }, ["twice"])).rejects.toMatchObject({ code: "session_broken" });
    expect(seen.runs).toBe(1);
  });

  it("refuses an output that came back in the wrong place", async () => {
    const engine = new OrtEngine({
      ort: {
        Tensor: class {},
        InferenceSession: {
          create: () =>
            Promise.resolve({
              inputNames: [],
              outputNames: ["y"],
              inputMetadata: [],
              run: () => Promise.resolve({ y: { location: "cpu", type: "float32", dims: [1], dispose() {} } }),
              release: () => Promise.resolve(),
            }),
        },
      } as unknown as OrtModule,
      info: { provider: "webgpu", runtime: "stand-in", device: "none", software: true, threads: 1 },
      sessionOptions: {},
      location: "gpu-buffer",
      download: () => Promise.resolve([]),
    });
    const fallen = await engine.load({ name: "fallen", model: new Uint8Array(0) });
    await expect(fallen.run({}, ["y"])).rejects.toMatchObject({ code: "provider_mismatch" });
  });
});

describeWebGpu("overlapping calls", () => {
  it("of two sessions, creating, running and reading, all settle and all are right", async () => {
    const engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
    const [one, two] = await Promise.all([engine.load(await twice()), engine.load(await classifier())]);
    const x: HostTensor = { dtype: "float32", dims: [2, 32], data: new Float32Array(64).fill(0.5) };
    const reference = await two.run({ x }, ["p"]);
    const results = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
      const feed: HostTensor = { dtype: "int32", dims: [1], data: Int32Array.of(i) };
      const [sum, p, third] = await Promise.all([
        one.run({ a: feed }, ["twice"], ["twice"]),
        two.run({ x }, ["p"]),
        engine.load(await twice()),
      ]);
      const kept = sum["twice"];
      if (kept === undefined || !("read" in kept)) throw new Error("not resident");
      const again = third.run({ a: kept }, ["twice"]);
      const read = kept.read();
      kept.release();
      return { read: (await read).data[0], again: (await again)["twice"], p: p["p"] };
    }));
    results.forEach(({ read, again, p }, i) => {
      expect(read).toBe(2 * i);
      expect(again).toMatchObject({ data: Int32Array.of(4 * i) });
      expect(p).toEqual(reference["p"]);
    });
    expect(lockCounters().peak).toBe(1);
    await engine.close();
  });
});
