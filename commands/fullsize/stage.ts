/**
 * What both runs of a converted folder share: a profiled engine, the machine's rate, and the graphs' figures afterwards.
 *
 * @module
 */
import { join } from "node:path";
import { gemmRates } from "../../bench/lib/gemm.ts";
import { readProfile } from "../../bench/lib/profile.ts";
import { openCpu } from "../../core/engine/cpu.ts";
import type { Engine } from "../../core/engine/types.ts";
import { openStoredFolder, type StoredFolder } from "../../core/model/convert/stored_folder.ts";
import { createModel } from "../../core/model/model.ts";
import type { LoadedGraph, Model, Tokenizer } from "../../core/model/types.ts";
import { memory, resetPeak } from "./memory.ts";
import type { GraphFigures, RunFigures } from "./table.ts";

export interface StageOptions {
  readonly folder: string;
  readonly threads: number;
  /** Pixels. */
  readonly side: number;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

export interface Stage {
  readonly model: Model;
  readonly stored: StoredFolder;
}

/** What a stage's work says of itself: seconds by name, and its spot check. */
export interface Work {
  readonly seconds: Readonly<Record<string, number>>;
  readonly check: RunFigures["check"];
}

/** Ids are given; nothing here reads text. */
const NO_TOKENIZER: Tokenizer = {
  encode: () => nothing(),
  decode: () => nothing(),
  id: () => nothing(),
  vocabularySize: 0,
};

function nothing(): never {
  throw new RangeError("a dry run has no tokenizer");
}

/** Loads a part, works with it, and reads the profile of each graph. */
export async function stage(
  part: "draw" | "understand",
  options: StageOptions,
  work: (stage: Stage) => Promise<Work>,
): Promise<RunFigures> {
  const profiles = await Deno.makeTempDir();
  try {
    const rate = await machineRate(options.threads);
    const engine = await openCpu({ threads: options.threads, profile: profiles });
    let figures: Omit<RunFigures, "graphs"> & { readonly loadedGraphs: readonly LoadedGraph[] };
    try {
      figures = await measured(part, engine, rate, options, work);
    } finally {
      await engine.close();
    }
    const { loadedGraphs, ...rest } = figures;
    return { ...rest, graphs: await graphFigures(profiles, loadedGraphs) };
  } finally {
    await Deno.remove(profiles, { recursive: true });
  }
}

async function measured(
  part: "draw" | "understand",
  engine: Engine,
  rate: number,
  options: StageOptions,
  work: (stage: Stage) => Promise<Work>,
) {
  const stored = await openStoredFolder(options.folder, { need: [part] });
  await resetPeak();
  const before = await memory();
  const start = performance.now();
  const { config, weights, graphs } = stored;
  const model = await createModel({
    config,
    weights,
    tokenizer: NO_TOKENIZER,
    engine,
    stored: graphs,
    parts: part === "draw" ? ["generation"] : [],
    dispose: () => stored.close(),
  });
  try {
    const loadSeconds = (performance.now() - start) / 1000;
    const after = await memory();
    options.note(`${part}: loaded in ${loadSeconds.toFixed(1)} s\n`);
    const done = await work({ model, stored });
    const loadedGraphs = model.loaded;
    return {
      part,
      rate,
      loadSeconds,
      loadedBytes: loadedGraphs.reduce((sum, { bytes }) => sum + bytes, 0),
      residentLoaded: before === null || after === null ? null : after.resident - before.resident,
      peak: (await memory())?.peak ?? null,
      seconds: done.seconds,
      check: done.check,
      loadedGraphs,
    };
  } finally {
    await model.close();
  }
}

/** Multiply-adds a second of the runtime's fp32 GEMM, with no profile in its way. */
async function machineRate(threads: number): Promise<number> {
  const engine = await openCpu({ threads });
  const [rate = NaN] = await gemmRates(engine, [[1024, 1024, 1024]], 5);
  await engine.close();
  return rate;
}

async function graphFigures(folder: string, loaded: readonly LoadedGraph[]): Promise<GraphFigures[]> {
  const files = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  const figures: GraphFigures[] = [];
  for (const { graph, bytes } of loaded) {
    const file = files.find((name) => new RegExp(`^${graph}_\\d`).test(name));
    if (file === undefined) throw new RangeError(`the runtime wrote no profile of ${graph}`);
    const { runs, milliseconds, multiplyAdds, operators } = readProfile(await Deno.readTextFile(join(folder, file)));
    figures.push({ graph, bytes, runs, seconds: milliseconds / 1000, multiplyAdds, operators });
  }
  return figures;
}

/** A sequence of numbers below `limit` that is the same each time. */
export function someIds(count: number, limit: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  });
}

export function errorOf(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let [error, range] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    const expected = wanted[i] ?? NaN;
    const difference = Math.abs((found[i] ?? NaN) - expected);
    if (!(difference <= error)) error = difference; // NaN sticks
    range = Math.max(range, Math.abs(expected));
  }
  return error / range;
}
