/**
 * `deno task bench NAME [flags]`: measurements by name.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { type Command, main } from "../commands/lib/command.ts";
import { convertBench } from "./convert.ts";
import { drawBench } from "./draw.ts";
import { gpuBench } from "./gpu.ts";
import { httpBench } from "./http.ts";
import { queueBench } from "./queue.ts";
import { snapshotsBench } from "./snapshots.ts";
import { soakBench } from "./soak.ts";

const BENCHES: Readonly<Record<string, Command>> = {
  draw: drawBench,
  convert: convertBench,
  gpu: gpuBench,
  http: httpBench,
  queue: queueBench,
  snapshots: snapshotsBench,
  soak: soakBench,
};

export const benchCommand: Command = async ([name, ...args], context) => {
  const bench = name !== undefined && Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (bench !== undefined) return await bench(args, context);
  throw new UnmaskError({
    code: "bench_unknown",
    message: name === undefined ? "no benchmark is named" : "there is no benchmark of that name",
    fix: `use deno task bench ${Object.keys(BENCHES).join(" | ")}`,
  });
};

if (import.meta.main) await main(benchCommand);
