import { expect, test } from "vitest";
import { benchCommand } from "../../bench/bench.ts";
import { sideFigures, speedUp } from "../../bench/lib/draw_report.ts";
import { PythonSide } from "../../bench/lib/python.ts";
import { collect } from "../commands/collect.ts";

const code = (stdout: string): unknown => JSON.parse(stdout).error.code;

test("unknown benchmarks, flags and counts are refused before anything runs", async () => {
  expect(code((await collect(benchCommand, ["--json"])).stdout)).toBe("bench_unknown");
  expect(code((await collect(benchCommand, ["drew", "--json"])).stdout)).toBe("bench_unknown");
  expect(code((await collect(benchCommand, ["draw", "--json", "--picture=1"])).stdout)).toBe("unknown_flag");
  const result = await collect(benchCommand, ["draw", "--json", "--pictures=0"]);
  expect([result.code, code(result.stdout)]).toEqual([2, "pictures_out_of_range"]);
});

test("a Python that is not there or has no torch is named as such", async () => {
  await expect(PythonSide.open("no-such-python")).rejects.toMatchObject({ code: "python_missing" });
  // Any program that fails stands for a Python without torch.
  await expect(PythonSide.open("false")).rejects.toMatchObject({ code: "torch_missing" });
});

test("figures: rate, share of GEMM and ratios round by round", () => {
  const timing = (seconds: number) => ({
    seconds,
    cpuSeconds: seconds / 2,
    parts: { prompt: seconds / 4, steps: seconds / 4, sampling: 0, decode: seconds / 2 },
  });
  const figures = sideFigures([timing(1), timing(3)], 5e9, 10e9);
  expect(figures.images_per_second).toBe(0.5);
  expect(figures.seconds).toEqual({ median: 2, least: 1, most: 3 });
  expect(figures.parts.decode).toBe(1000);
  expect(figures.gemm_share).toBeCloseTo(0.5); // 5e9 in the one second of prompt and steps, of 10e9
  expect(speedUp([timing(4), timing(12)], [timing(1), timing(2)]).wall).toEqual({ median: 5, least: 4, most: 6 });
});
