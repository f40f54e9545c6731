/**
 * `deno task bench soak`: hundreds of small runs on a GPU; GPU buffers, pipelines and the process's memory must be flat
 * after the first ones.
 *
 * @module
 */
import type { Command } from "../commands/lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "../commands/lib/flags.ts";
import { Progress } from "../commands/lib/progress.ts";
import { openEngine } from "../core/engine/choose.ts";
import { watchGpu } from "../core/engine/gpu_watch.ts";
import { UnmaskError } from "../core/errors.ts";
import { judgeLevels, soak } from "./lib/soak.ts";
import { tinyModel } from "./lib/tiny_model.ts";

const FLAGS = {
  runs: { kind: "number", help: "small runs in a row (default: 500)" },
  warm: { kind: "number", help: "runs before the first that counts (default: 50)" },
  software: { kind: "switch", help: "take a software adapter where there is no other" },
  ...COMMON_FLAGS,
} as const;

/** Its tokenizer is used, no weights. */
const TOKENIZER = "models/scenes";

export const soakBench: Command = async (args, { output, announce }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("bench soak [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { runs = 500, warm = 50 } = flags;
  if (![runs, warm].every(Number.isInteger) || warm < 0 || runs < warm + 3) throw outOfRange();
  const watch = watchGpu();
  const engine = await openEngine({ provider: "webgpu", ...(flags.software ? { allowSoftwareAdapter: true } : {}) });
  const progress = new Progress(output, "runs");
  try {
    const model = await tinyModel(engine, TOKENIZER);
    if (engine.gpu === undefined) throw new TypeError("the webgpu provider draws on the GPU");
    const start = performance.now();
    const levels = await soak(model, engine.gpu, watch.counts, runs, (run) => progress.update(run, runs));
    const report = judgeLevels(levels, warm);
    await model.close();
    progress.end();
    for (const name of ["pipelines", "buffers", "bufferBytes", "resident"] as const) {
      const grown = report.grown.includes(name) ? "  GROWN" : "";
      output.stderr(`${name.padEnd(12)} early ${report.early[name]}  late ${report.late[name]}${grown}\n`);
    }
    const line = { device: engine.info.device, ...report, seconds: (performance.now() - start) / 1000 };
    if (report.grown.length === 0) return line;
    announce(line);
    throw new UnmaskError({
      code: "not_flat",
      message: `${report.grown.join(", ")} grew over ${runs} runs`,
      fix: "something is not released: see the figures above",
      status: 500,
    });
  } finally {
    progress.end();
    await engine.close();
    watch.stop();
  }
};

function outOfRange(): UnmaskError {
  return new UnmaskError({
    code: "runs_out_of_range",
    message: "--runs and --warm are whole numbers, and at least three runs must be left",
    fix: "use for example --runs 500 --warm 50",
    param: "runs",
  });
}
