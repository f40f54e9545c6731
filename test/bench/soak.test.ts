/** Many small runs on the GPU hold no more than the first ones; the command does 500 of them. */
import { expect, test } from "vitest";
import { benchCommand } from "../../bench/bench.ts";
import { judgeLevels, type Level, soak } from "../../bench/lib/soak.ts";
import { tinyModel } from "../../bench/lib/tiny_model.ts";
import { openEngine } from "../../core/engine/choose.ts";
import { watchGpu } from "../../core/engine/gpu_watch.ts";
import { collect } from "../commands/collect.ts";
import { describeWebGpu } from "../core/engine/adapter.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 1_800_000;

const level: Level = { pipelines: 40, buffers: 300, bufferBytes: 9e6, resident: 500e6 };

test("what grows is named, and noise of the process's memory is none", () => {
  const levels = (grow: (run: number) => Partial<Level>) =>
    Array.from({ length: 50 }, (_, run) => ({ ...level, ...grow(run) }));
  expect(judgeLevels(levels(() => ({})), 20).grown).toEqual([]);
  // Before the runs that count anything may grow.
  expect(judgeLevels(levels((run) => ({ buffers: Math.min(run, 20) })), 20).grown).toEqual([]);
  expect(judgeLevels(levels((run) => ({ buffers: 300 + Math.floor(run / 20) })), 20).grown).toEqual(["buffers"]);
  expect(judgeLevels(levels((run) => ({ pipelines: run === 45 ? 41 : 40 })), 20).grown).toEqual(["pipelines"]);
  expect(judgeLevels(levels((run) => ({ bufferBytes: 9e6 + 4 * run })), 20).grown).toEqual(["bufferBytes"]);
  expect(judgeLevels(levels((run) => ({ resident: 500e6 + 5e6 * (run % 5) })), 20).grown).toEqual([]);
  expect(judgeLevels(levels((run) => ({ resident: 500e6 + 2e6 * run })), 20).grown).toEqual(["resident"]);
  expect(() => judgeLevels(levels(() => ({})), 48)).toThrow(RangeError);
});

test("counts that leave nothing to compare are refused before anything runs", async () => {
  for (const args of [["--runs", "52"], ["--runs", "1.5"], ["--warm", "-1"]]) {
    const { code, stdout } = await collect(benchCommand, ["soak", "--json", ...args]);
    expect([code, JSON.parse(stdout).error.code]).toEqual([2, "runs_out_of_range"]);
  }
});

describeWebGpu("50 small runs", () => {
  test("GPU buffers, pipelines and the process's memory are flat", async () => {
    const watch = watchGpu();
    const engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
    const model = await tinyModel(engine, "models/scenes");
    if (engine.gpu === undefined) throw new Error("no gpu");
    const report = judgeLevels(await soak(model, engine.gpu, watch.counts, 50), 20);
    console.info(JSON.stringify(report));
    expect(report.early.pipelines).toBeGreaterThan(10);
    expect(report.grown).toEqual([]);
    await model.close();
    await engine.close();
    watch.stop();
  }, SLOW);
});
