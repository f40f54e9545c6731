/**
 * Many small runs in a row: what the GPU and the process hold after each, and whether that stays flat.
 *
 * @module
 */
import type { Gpu } from "../../core/engine/gpu.ts";
import type { GpuCounts } from "../../core/engine/gpu_watch.ts";
import type { Model } from "../../core/model/types.ts";
import { createDraw } from "../../core/tasks/draw.ts";
import type { DrawInput } from "../../core/tasks/draw_input.ts";
import { runHere } from "../../core/tasks/run_here.ts";

/** What is held after a run. */
export interface Level {
  /** Compiled since the beginning. */
  readonly pipelines: number;
  readonly buffers: number;
  readonly bufferBytes: number;
  /** Resident bytes of the process. */
  readonly resident: number;
}

export interface SoakReport {
  readonly runs: number;
  /** Runs before the first that counts. */
  readonly warm: number;
  /** The most in the first third of the runs that count, and in the last; of `resident` the median. */
  readonly early: Level;
  readonly late: Level;
  /** What grew; empty if all is flat. */
  readonly grown: readonly (keyof Level)[];
}

/**
 * Growth of resident memory, median of the last third to median of the first, that is noise: a share, and bytes. Between
 * two collections the heap moves by some 5 MB, and lavapipe's threads by as much; what leaked once, kernels compiled
 * anew in each dispatch, was 30 MB a run.
 */
const NOISE = { share: 0.05, bytes: 16 * 2 ** 20 };

/**
 * Draws `runs` pictures of changing prompts, step counts and guidance; now and then another is left in its middle.
 *
 * @param counts of a watch that began before the engine was opened
 * @param onRun told after each run, from 1
 */
export async function soak(
  model: Model,
  gpu: Gpu,
  counts: () => GpuCounts,
  runs: number,
  onRun: (run: number) => void = () => {},
): Promise<Level[]> {
  const draw = createDraw();
  const levels: Level[] = [];
  for (let run = 1; run <= runs; run++) {
    await runHere(draw, request(run), model);
    if (run % 10 === 0) await abandoned(model, run);
    await gpu.run({ dispatches: [] }); // releases wait for their turn
    const { pipelines, buffers, bufferBytes } = counts();
    levels.push({ pipelines, buffers, bufferBytes, resident: Deno.memoryUsage().rss });
    onRun(run);
  }
  return levels;
}

function request(run: number): DrawInput {
  const dogs = Array.from({ length: 1 + run % 5 }, () => "dog").join(" ");
  return { prompt: `a photo of a ${dogs}`, seed: run, steps: 1 + run % 3, guidance: run % 4 === 0 ? 0 : 1 };
}

/** A run that is left in its middle. */
async function abandoned(model: Model, run: number): Promise<void> {
  const draw = createDraw();
  const stepper = await draw.open(draw.start({ ...request(run), steps: 4 }, model), model);
  await stepper.step();
  stepper.close();
}

/** @throws {RangeError} if fewer than three runs count */
export function judgeLevels(levels: readonly Level[], warm: number): SoakReport {
  const counted = levels.slice(warm);
  const third = Math.floor(counted.length / 3);
  if (third < 1) throw new RangeError(`${levels.length} runs, ${warm} of them to warm up, leave nothing to compare`);
  const [early, late] = [summary(counted.slice(0, third)), summary(counted.slice(-third))];
  const grown = (["pipelines", "buffers", "bufferBytes"] as const).filter((name) => late[name] > early[name]);
  const memory = late.resident - early.resident > Math.max(NOISE.bytes, NOISE.share * early.resident);
  return { runs: levels.length, warm, early, late, grown: memory ? [...grown, "resident"] : grown };
}

function summary(levels: readonly Level[]): Level {
  const most = (name: keyof Level) => Math.max(...levels.map((level) => level[name]));
  const resident = levels.map((level) => level.resident).sort((a, b) => a - b)[levels.length >> 1] ?? NaN;
  return { pipelines: most("pipelines"), buffers: most("buffers"), bufferBytes: most("bufferBytes"), resident };
}
