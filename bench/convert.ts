/**
 * `deno task bench convert`: what fp16 and int4 cost the embedded model. Both conversions draw the prompts of `eval` with
 * the same seeds as the model in fp32, and the differences of their scores come with paired 95 % intervals, beside the
 * sizes of their files.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { throughAll } from "../commands/eval/evaluation.ts";
import { printScores, scoresOf } from "../commands/eval/scores.ts";
import type { Command, CommandContext } from "../commands/lib/command.ts";
import { COMMON_FLAGS, type FlagValues, parseFlags, usage } from "../commands/lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel } from "../commands/lib/model.ts";
import { openEngine } from "../core/engine/choose.ts";
import { UnmaskError } from "../core/errors.ts";
import { convert } from "../core/model/convert/convert.ts";
import { folderSource } from "../core/model/convert/folder_source.ts";
import { CONVERTED_PARTS, type Dtype, DTYPES } from "../core/model/convert/manifest.ts";
import { modelLayout } from "../core/model/layout.ts";
import { parseDrawInput } from "../core/tasks/draw_input.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type ConvertSide, convertTable, LIMITS } from "./lib/convert_report.ts";
import { hashPicture, type JudgedPicture, pairUp } from "./lib/paired.ts";
import { createJudge } from "./scenes/judge.ts";
import type { Metadata } from "./scenes/prompt.ts";
import { choosePrompts } from "./scenes/prompts.ts";
import { loadWorld, type World } from "./scenes/world.ts";

const FLAGS = {
  n: { kind: "number", help: "prompts, in equal shares of the six kinds (default: every GenEval prompt of the world)" },
  seeds: { kind: "number", help: "pictures a prompt (default: 4)" },
  seed: { kind: "number", help: "chooses prompts and draws (default: 0)" },
  steps: { kind: "number", help: "forward passes a picture" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

type Flags = FlagValues<typeof FLAGS>;

interface Job {
  readonly prompt: number;
  readonly seed: number;
  readonly metadata: Metadata;
}

/** The command over any inference; `bench.ts` gives it the real one. */
export function convertBenchOver(open: OpenModel): Command {
  return async (args, context) => {
    const { flags } = parseFlags(args, FLAGS);
    if (flags.help) {
      context.output.stderr(`${usage("bench convert [flags]", FLAGS)}\n`);
      return { help: true };
    }
    const { seed = 0, seeds = 4 } = flags;
    if (!Number.isInteger(seeds) || seeds < 1) throw refused(seeds);
    const world = await loadWorld();
    const prompts = await choosePrompts(world, { seed, seen: false, ...(flags.n === undefined ? {} : { n: flags.n }) });
    const jobs = prompts.flatMap((metadata, prompt) =>
      Array.from({ length: seeds }, (_, sample) => ({ prompt, metadata, seed: seed + prompt * seeds + sample }))
    );
    const model = modelChoice(flags);
    const folder = await mkdtemp(join(tmpdir(), "unmask-convert-"));
    try {
      const { fp32, bytes } = await convertAll(model.modelFolder, folder, context);
      const draw = (modelFolder: string, name: string) =>
        drawAll(open, { ...model, modelFolder }, jobs, { world, flags, name, context });
      const base = await draw(model.modelFolder, "fp32");
      const sides: ConvertSide[] = [];
      for (const dtype of DTYPES) {
        const pairing = pairUp(base, await draw(join(folder, dtype), dtype));
        const size = bytes[dtype], share = size / fp32, { score } = pairing;
        sides.push({
          dtype,
          bytes: size,
          share,
          ...pairing,
          holds: { size: share < LIMITS[dtype].size, score: Math.abs(score.difference) <= LIMITS[dtype].score },
        });
      }
      context.output.stderr(`${convertTable(fp32, sides)}\n`);
      const line = {
        prompts: prompts.length,
        seeds,
        seed,
        fp32: { bytes: fp32, scores: scoresOf(base) },
        sides,
        limits: LIMITS,
      };
      const missed = sides.filter(({ holds }) => !holds.size || !holds.score).map(({ dtype }) => dtype);
      if (missed.length === 0) return line;
      context.announce(line);
      throw new UnmaskError({
        code: "limits_missed",
        message: `${missed.join(" and ")} cost more than they may`,
        fix: "see the lines that say NO",
        status: 500,
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

export const convertBench = convertBenchOver(openInference);

/** Bytes of each conversion's files, and of the checkpoint's tensors as fp32. */
async function convertAll(from: string, folder: string, { output, signal }: CommandContext) {
  const bytes: Record<Dtype, number> = { fp16: 0, int4: 0 };
  const source = await folderSource(from, CONVERTED_PARTS, { signal });
  try {
    let fp32 = 0;
    for (const name of modelLayout(source.config).keys()) {
      fp32 += 4 * (source.weights.dims(name)?.reduce((product, dim) => product * dim, 1) ?? 0);
    }
    const engine = await openEngine({ provider: "cpu" });
    try {
      for (const dtype of DTYPES) {
        output.stderr(`converting to ${dtype}\n`);
        const to = join(folder, dtype);
        const { files } = await convert({ source, to, dtype, parts: CONVERTED_PARTS, engine, signal });
        bytes[dtype] = files.reduce((sum, file) => sum + file.bytes, 0);
      }
    } finally {
      await engine.close();
    }
    return { fp32, bytes };
  } finally {
    await source.close();
  }
}

interface Drawing {
  readonly world: World;
  readonly flags: Flags;
  readonly name: string;
  readonly context: CommandContext;
}

async function drawAll(
  open: OpenModel,
  choice: Parameters<OpenModel>[0],
  jobs: readonly Job[],
  { world, flags: { steps }, name, context }: Drawing,
): Promise<JudgedPicture[]> {
  const judge = createJudge(world);
  const inference = await open(choice);
  try {
    const drawn = await throughAll(context, `drawing in ${name}`, jobs, async ({ metadata, prompt, seed }) => {
      const input = parseDrawInput({ prompt: metadata.prompt, seed, ...(steps === undefined ? {} : { steps }) });
      const { picture } = await inference.draw(input, { signal: context.signal });
      const verdict = judge.judge(picture, metadata);
      return { prompt, seed, tag: metadata.tag, verdict, hash: hashPicture(picture) };
    });
    // Each side is told when it is done: three of them take the better part of an hour.
    context.output.stderr(`${name}\n`);
    printScores(context.output, scoresOf(drawn));
    return drawn;
  } finally {
    await inference.close();
  }
}

function refused(seeds: number): UnmaskError {
  return new UnmaskError({
    code: "seeds_out_of_range",
    message: `${seeds} pictures a prompt cannot be drawn`,
    fix: "use a whole number from 1",
    param: "seeds",
  });
}
