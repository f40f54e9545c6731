/**
 * `deno task fullsize`: the published architecture at its own size on this machine, without its weights. Every tensor
 * comes from a seeded source, is converted to int4, loaded, and drives one guided step at 1024 px, whose numbers are
 * spot-checked in fp64.
 *
 * @module
 */
import { rm } from "node:fs/promises";
import { openEngine } from "../core/engine/choose.ts";
import { defaultThreads } from "../core/engine/threads.ts";
import { UnmaskError } from "../core/errors.ts";
import { convert } from "../core/model/convert/convert.ts";
import { CONVERTED_PARTS, type ConvertedPart } from "../core/model/convert/manifest.ts";
import { type Command, type CommandContext, type ExitCode, type JsonLine, main } from "./lib/command.ts";
import { COMMON_FLAGS, type FlagValues, parseFlags, usage } from "./lib/flags.ts";
import { Progress } from "./lib/progress.ts";
import { type Limit, limitLines, limits } from "./fullsize/limits.ts";
import { memory, resetPeak } from "./fullsize/memory.ts";
import { runDraw } from "./fullsize/run_draw.ts";
import { runText } from "./fullsize/run_text.ts";
import { type ConvertFigures, type RunFigures, table } from "./fullsize/table.ts";
import { syntheticConfig, syntheticConfigs, type SyntheticSize, syntheticWeights } from "./fullsize/synthetic.ts";

export const FULLSIZE_FLAGS = {
  to: { kind: "text", help: "where the converted folder goes (default: .cache/fullsize)" },
  parts: { kind: "text", help: "draw, understand or all (default: draw)" },
  stage: { kind: "text", help: "convert or run alone, so that each has the memory to itself (default: both)" },
  scale: { kind: "number", help: "divide widths, heads, layers and vocabulary by 2, 4, 8 or 16 (default: 1)" },
  layers: { kind: "number", help: "layers, even; 4 are one of each kind (default: all)" },
  size: { kind: "number", help: "side of the picture in pixels, a multiple of 32 (default: 1024)" },
  threads: { kind: "number", help: "threads (default: one a physical core)" },
  seed: { kind: "number", help: "of the weights (default: 1)" },
  keep: { kind: "switch", help: "keep the converted folder" },
  ...COMMON_FLAGS,
} as const;

type Flags = FlagValues<typeof FULLSIZE_FLAGS>;

export const fullsizeCommand: Command = async (args, context) => {
  const { flags } = parseFlags(args, FULLSIZE_FLAGS);
  if (flags.help) {
    context.output.stderr(`${usage("fullsize [flags]", FULLSIZE_FLAGS)}\n`);
    return { help: true };
  }
  const size = sizeOf(flags);
  const parts = partsOf(flags);
  const to = flags.to ?? ".cache/fullsize";
  const stage = flags.stage ?? "both";
  if (!["convert", "run", "both"].includes(stage)) throw refused("stage", "is convert or run");
  const side = flags.size ?? 1024;
  if (!Number.isInteger(side / 32) || side < 64) throw refused("size", "is a multiple of 32 from 64 on");
  const { threads: most } = await defaultThreads();
  const threads = flags.threads ?? most;

  const converted = stage === "run" ? null : await convertStage(to, parts, size, flags, context);
  let figures: RunFigures[] = [];
  if (stage !== "convert") {
    const options = { folder: to, threads, side, signal: context.signal, note: context.output.stderr };
    if (parts.includes("draw")) figures = [...figures, await runDraw(options)];
    if (parts.includes("understand")) figures = [...figures, await runText(options)];
    if (!flags.keep) await rm(to, { recursive: true, force: true });
  }
  context.output.stderr(`\n${table(size, converted, figures)}\n`);
  // Limits are of the published size.
  const checked = size.scale === 1 && size.layers === undefined ? limits(converted, figures) : [];
  for (const line of limitLines(checked)) context.output.stderr(`${line}\n`);
  return { ...size, parts, threads, size: side, converted, runs: figures, limits: checked };
};

/** 1 if a limit does not hold. */
export function fullsizeExit({ limits: checked }: JsonLine): ExitCode {
  return Array.isArray(checked) && checked.some(({ holds }: Limit) => !holds) ? 1 : 0;
}

async function convertStage(
  to: string,
  parts: readonly ConvertedPart[],
  size: SyntheticSize,
  flags: Flags,
  { output, signal }: CommandContext,
): Promise<ConvertFigures> {
  const config = syntheticConfig(size);
  const seed = flags.seed ?? 1;
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const raw = syntheticConfigs(size);
  const engine = await openEngine({
    provider: "cpu",
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  });
  let bar: { readonly what: string; readonly progress: Progress } | undefined;
  await resetPeak();
  const start = performance.now();
  try {
    const { files } = await convert({
      source: {
        config,
        weights: syntheticWeights(config, seed),
        files: new Map([["config.json", json(raw.config)], ["vqvae/config.json", json(raw.vq)]]),
        // The published ids of LOC_0 and on, or where they would be in a smaller vocabulary.
        locations: () => ({ first: Math.max(0, config.embeddingSize - 4 - config.locTokens), count: config.locTokens }),
        fingerprint: () => Promise.resolve(`synthetic:${seed}`),
      },
      to,
      dtype: "int4",
      parts,
      engine,
      signal,
      onProgress(what, done, total) {
        if (bar?.what !== what) {
          bar?.progress.end();
          bar = { what, progress: new Progress(output, `${what}, MB`) };
        }
        bar.progress.update(Math.floor(done / 1e6), Math.max(1, Math.floor(total / 1e6)));
      },
    });
    return {
      seconds: (performance.now() - start) / 1000,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      peak: (await memory())?.peak ?? null,
    };
  } finally {
    bar?.progress.end();
    await engine.close();
  }
}

function sizeOf({ scale = 1, layers }: Flags): SyntheticSize {
  if (![1, 2, 4, 8, 16].includes(scale)) throw refused("scale", "is 1, 2, 4, 8 or 16");
  if (layers !== undefined && !(Number.isInteger(layers / 2) && layers >= 2 && layers <= 32)) {
    throw refused("layers", "is an even number from 2 to 32");
  }
  return { scale, ...(layers === undefined ? {} : { layers }) };
}

function partsOf({ parts = "draw" }: Flags): readonly ConvertedPart[] {
  if (parts === "all") return CONVERTED_PARTS;
  const found = CONVERTED_PARTS.find((part) => part === parts);
  if (found === undefined) throw refused("parts", "is draw, understand or all");
  return [found];
}

function refused(name: string, rule: string): UnmaskError {
  return new UnmaskError({
    code: "flag_unknown_value",
    message: `--${name} ${rule}`,
    fix: "deno task fullsize --help shows how it is called",
    param: name,
  });
}

if (import.meta.main) await main(fullsizeCommand, fullsizeExit);
