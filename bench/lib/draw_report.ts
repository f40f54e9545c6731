/**
 * The figures of `bench draw` from what was measured, and their table.
 *
 * @module
 */
import { ratios, type Spread, spread } from "./compare.ts";
import type { GraphProfile } from "./profile.ts";
import type { Parts } from "./runtime.ts";
import type { ServerMeasure } from "./server.ts";

/** One picture by one side. */
export interface Timing {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly parts: Parts;
}

export interface SideFigures {
  readonly images_per_second: number;
  readonly seconds: Spread;
  /** CPU seconds a picture, all threads: less than wall time where others used the machine too. */
  readonly cpu_seconds: number;
  /** Mean milliseconds a picture. */
  readonly parts: Parts;
  /** Of prompt and steps, a picture. */
  readonly multiply_adds: number;
  /** Multiply-adds a second in prompt and steps, over the best rate of the same library's matrix product. */
  readonly gemm_share: number;
  /** That best rate, multiply-adds a second. */
  readonly gemm_rate: number;
}

/** @param timings one a round */
export function sideFigures(timings: readonly Timing[], multiplyAdds: number, gemmRate: number): SideFigures {
  const mean = (of: (timing: Timing) => number) => timings.reduce((sum, each) => sum + of(each), 0) / timings.length;
  const part = (name: keyof Parts) => mean(({ parts }) => parts[name]) * 1000;
  const parts = { prompt: part("prompt"), steps: part("steps"), sampling: part("sampling"), decode: part("decode") };
  return {
    images_per_second: 1 / mean(({ seconds }) => seconds),
    seconds: spread(timings.map(({ seconds }) => seconds)),
    cpu_seconds: mean(({ cpuSeconds }) => cpuSeconds),
    parts,
    multiply_adds: multiplyAdds,
    gemm_share: multiplyAdds / ((parts.prompt + parts.steps) / 1000) / gemmRate,
    gemm_rate: gemmRate,
  };
}

/** How many times faster the runtime is, by wall and by CPU time. */
export function speedUp(theirs: readonly Timing[], ours: readonly Timing[]): { wall: Spread; cpu: Spread } {
  const of = (key: "seconds" | "cpuSeconds") =>
    ratios(theirs.map((timing) => timing[key]), ours.map((timing) => timing[key]));
  return { wall: of("seconds"), cpu: of("cpuSeconds") };
}

const NAMES: Readonly<Record<string, string>> = {
  runtime: "runtime (ONNX Runtime, this project)",
  published: "(a) PyTorch as published",
  good: "(b) PyTorch with our savings, eager",
  compiled: "(b) the same, torch.compile",
};

export function sidesTable(sides: Readonly<Record<string, SideFigures>>): string {
  const head = ["", "images/s", "s/picture", "CPU s", "prompt", "steps", "sampling", "decode ms", "GMAC", "of GEMM"];
  const rows = Object.entries(sides).map(([name, side]) => [
    NAMES[name] ?? name,
    side.images_per_second.toFixed(3),
    `${side.seconds.median.toFixed(3)} (${side.seconds.least.toFixed(3)}-${side.seconds.most.toFixed(3)})`,
    side.cpu_seconds.toFixed(3),
    ...Object.values(side.parts).map((milliseconds: number) => milliseconds.toFixed(0)),
    (side.multiply_adds / 1e9).toFixed(1),
    `${(100 * side.gemm_share).toFixed(0)} % of ${(side.gemm_rate / 1e9).toFixed(1)} G/s`,
  ]);
  return table([head, ...rows]);
}

export function profileLines(profiles: Readonly<Record<string, GraphProfile>>): string {
  return Object.entries(profiles).map(([name, { milliseconds, operators }]) => {
    const shares = operators.slice(0, 6).map(({ operator, share }) => `${operator} ${(100 * share).toFixed(0)} %`);
    return `${name}: ${milliseconds.toFixed(1)} ms a run: ${shares.join(", ")}`;
  }).join("\n");
}

/** Budgets of the server, seconds and bytes. */
export const FIRST_PICTURE_BUDGET = 5;
export const MEMORY_BUDGET = 600 * 2 ** 20;

export function serverLine({ readySeconds, firstPictureSeconds, peakMemory, pictures }: ServerMeasure): string {
  const memory = peakMemory === undefined
    ? "unknown: no /proc here"
    : `${(peakMemory / 2 ** 20).toFixed(0)} MiB after ${pictures} pictures (budget ${MEMORY_BUDGET / 2 ** 20})`;
  return `server: ready in ${readySeconds.toFixed(2)} s, first picture ${firstPictureSeconds.toFixed(2)} s after the ` +
    `start (budget ${FIRST_PICTURE_BUDGET}), peak memory ${memory}`;
}

export function spreadText({ median, least, most }: Spread): string {
  return `${median.toFixed(2)}x (${least.toFixed(2)}-${most.toFixed(2)})`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}
