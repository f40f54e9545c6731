/**
 * What every evaluation is given, and how it goes through its cases.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Judge } from "../../bench/scenes/judge.ts";
import type { World } from "../../bench/scenes/world.ts";
import { encodePicture } from "../../core/image/codec.ts";
import type { Picture } from "../../core/model/types.ts";
import type { TaskName } from "../../core/tasks/all_tasks.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";
import type { JsonLine, Output } from "../lib/command.ts";
import { Progress } from "../lib/progress.ts";
import { runTask, type TaskRun } from "../lib/run_task.ts";
import type { EvalFlags, OwnFlag } from "./flags.ts";

export interface Bench {
  readonly world: World;
  readonly judgeOf: () => Judge;
  readonly inference: RemoteInference;
  readonly flags: EvalFlags;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** A folder for cases and pictures, there already; undefined: none. */
  readonly out: string | undefined;
}

export interface Evaluation {
  readonly takes: readonly OwnFlag[];
  /** What is wrong with the flags shows before seconds of loading. @throws {UnmaskError} */
  check(flags: EvalFlags): void | Promise<void>;
  /** What the model must be trained for. */
  needs(flags: EvalFlags): readonly TaskName[];
  run(bench: Bench): Promise<JsonLine>;
}

/** Runs under way at once: one case is judged while the next is computed. */
const LANES = 2;

/**
 * `work` over all items, results in their order whatever was done first: the same pictures give the same report.
 *
 * @param lanes 1 where a case's time is measured. @default {2}
 */
export async function throughAll<Item, Result>(
  { output, signal }: Pick<Bench, "output" | "signal">,
  label: string,
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
  lanes = LANES,
): Promise<Result[]> {
  const progress = new Progress(output, label);
  const results = new Map<number, Result>();
  let next = 0;
  const lane = async () => {
    for (let at = next++, item = items[at]; item !== undefined; at = next++, item = items[at]) {
      signal.throwIfAborted();
      results.set(at, await work(item, at));
      progress.update(results.size, items.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: lanes }, lane));
  } finally {
    progress.end();
  }
  return [...results.entries()].sort(([a], [b]) => a - b).map(([, result]) => result);
}

/** A task on the bench's model. Pictures of the input are files' bytes. */
export async function runOn<Result, State = unknown>(
  { inference, signal }: Bench,
  task: TaskName,
  input: unknown,
): Promise<TaskRun<Result, State>> {
  return await runTask<Result, State>(inference, task, input, { signal });
}

/** As a caller would send it. */
export async function fileOf(picture: Picture): Promise<Uint8Array> {
  return await encodePicture(picture, "png");
}

/** Lines of JSON into a file of the folder, if there is one. */
export async function saveLines({ out }: Pick<Bench, "out">, name: string, lines: readonly unknown[]): Promise<void> {
  if (out === undefined) return;
  await writeFile(join(out, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}

/** A picture of a case into the folder, if there is one: `00007-source.png`. */
export async function savePicture(
  { out }: Pick<Bench, "out">,
  index: number,
  name: string,
  picture: Picture,
): Promise<void> {
  if (out === undefined) return;
  await mkdir(out, { recursive: true });
  await writeFile(join(out, `${String(index).padStart(5, "0")}-${name}.png`), await encodePicture(picture, "png"));
}

/** Three digits are what an interval leaves of a share. */
export function rounded(value: number): number {
  return Number(value.toFixed(3));
}
