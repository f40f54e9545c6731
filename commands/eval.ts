/**
 * `deno task eval t2i`: draws through the runtime and lets the judge of scenes score the pictures.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Drawn, interval } from "../bench/scenes/interval.ts";
import { createJudge } from "../bench/scenes/judge.ts";
import type { Metadata } from "../bench/scenes/prompt.ts";
import { choosePrompts } from "../bench/scenes/prompts.ts";
import { summarise } from "../bench/scenes/score.ts";
import { loadWorld } from "../bench/scenes/world.ts";
import { UnmaskError } from "../core/errors.ts";
import { encodePicture } from "../core/image/codec.ts";
import type { Picture } from "../core/model/types.ts";
import { parseDrawInput } from "../core/tasks/draw_input.ts";
import { type FinishedDraw, openInference } from "../core/tasks/remote.ts";
import { type Command, main } from "./lib/command.ts";
import { COMMON_FLAGS, type FlagValues, parseFlags, usage } from "./lib/flags.ts";
import { MODEL_FLAGS, modelChoice, type OpenModel, requireModelFolder } from "./lib/model.ts";
import { Progress } from "./lib/progress.ts";

export const EVAL_FLAGS = {
  n: { kind: "number", help: "prompts, in equal shares of the six kinds (default: every GenEval prompt of the world)" },
  seed: { kind: "number", help: "chooses prompts and draws (default: 0)" },
  seeds: { kind: "number", help: "pictures a prompt (default: 1)" },
  seen: { kind: "switch", help: "generated prompts of combinations that training showed; needs --n" },
  order: { kind: "text", help: "stratified, confidence, halton or random" },
  steps: { kind: "number", help: "forward passes a picture" },
  guidance: { kind: "number", help: "guidance w" },
  temperature: { kind: "number", help: "sampling temperature" },
  out: { kind: "text", help: "a folder for the pictures and metadata.jsonl, in GenEval's layout" },
  ...MODEL_FLAGS,
  ...COMMON_FLAGS,
} as const;

type EvalFlags = FlagValues<typeof EVAL_FLAGS>;

/** Draws under way at once: the judge looks at one picture while the next is drawn. */
const IN_FLIGHT = 2;

export function evalCommand(open: OpenModel): Command {
  return async (args, { output, signal }) => {
    const { flags, positionals } = parseFlags(args, EVAL_FLAGS);
    if (flags.help) {
      output.stderr(`${usage("eval t2i [flags]", EVAL_FLAGS)}\n`);
      return { help: true };
    }
    refuseTask(positionals);
    const seed = flags.seed ?? 0, seeds = picturesAPrompt(flags);
    const world = await loadWorld();
    const choice = flags.n === undefined ? {} : { n: flags.n };
    const prompts = await choosePrompts(world, { seed, seen: flags.seen, ...choice });
    const jobs = prompts.flatMap((metadata, prompt) =>
      Array.from({ length: seeds }, (_, sample) => {
        const input = drawInput(metadata.prompt, seed + prompt * seeds + sample, flags);
        return { metadata, prompt, sample, input };
      })
    );
    const model = modelChoice(flags);
    await requireModelFolder(model);
    const judge = createJudge(world);
    const inference = await open(model);
    const progress = new Progress(output, "evaluating");
    // By job, not by when it was done: the same pictures give the same report. Pictures are not kept.
    const results: (Drawn | undefined)[] = jobs.map(() => undefined);
    let settings: Pick<FinishedDraw, "steps" | "guidance" | "order"> | undefined;
    const began = performance.now();
    try {
      let next = 0, done = 0;
      const lane = async () => {
        for (let at = next++, job = jobs[at]; job !== undefined; at = next++, job = jobs[at]) {
          const draw = await inference.draw(job.input, { signal });
          const verdict = judge.judge(draw.picture, job.metadata);
          results[at] = { tag: job.metadata.tag, prompt: job.prompt, verdict };
          settings ??= { steps: draw.steps, guidance: draw.guidance, order: draw.order };
          if (flags.out !== undefined) await save(flags.out, job.prompt, job.sample, job.metadata, draw.picture);
          progress.update(++done, jobs.length);
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
      if (flags.out !== undefined) {
        await writeFile(
          join(flags.out, "metadata.jsonl"),
          prompts.map((record) => `${JSON.stringify(record)}\n`).join(""),
        );
      }
    } finally {
      progress.end();
      await inference.close();
    }
    const drawn = results.filter((result) => result !== undefined);
    const report = {
      ...summarise(drawn),
      interval: interval(drawn, ({ correct }) => correct),
      strict_interval: interval(drawn, ({ strict }) => strict),
      prompts: prompts.length,
      seed,
      seeds,
      split: flags.seen ? "seen" : "geneval",
      ...settings,
      model: inference.info.model,
      provider: inference.info.provider,
      seconds: Number(((performance.now() - began) / 1000).toFixed(1)),
    };
    const percent = (value: number | undefined) => value === undefined ? "-" : value.toFixed(3);
    output.stderr(`${"kind".padEnd(14)} right  strict\n`);
    for (const [kind, share] of Object.entries(report.kinds)) {
      const strict = Object.entries(report.strict_kinds).find(([name]) => name === kind)?.[1];
      output.stderr(`${kind.padEnd(14)} ${percent(share)}  ${percent(strict)}\n`);
    }
    output.stderr(`${"mean".padEnd(14)} ${percent(report.mean)}  ${percent(report.strict)}   (${report.n} pictures)\n`);
    return report;
  };
}

function refuseTask(positionals: readonly string[]): void {
  const [task, ...more] = positionals;
  if (task === "t2i" && more.length === 0) return;
  throw new UnmaskError({
    code: "task_unknown",
    message: task === undefined ? "there is no task to evaluate" : `there is no evaluation of ${positionals.join(" ")}`,
    fix: "use: deno task eval t2i",
    param: "task",
  });
}

function picturesAPrompt({ seeds = 1 }: EvalFlags): number {
  if (Number.isInteger(seeds) && seeds >= 1) return seeds;
  throw new UnmaskError({
    code: "seeds_out_of_range",
    message: `${seeds} pictures a prompt cannot be drawn`,
    fix: "use a whole number from 1",
    param: "seeds",
  });
}

function drawInput(prompt: string, seed: number, { order, steps, guidance, temperature }: EvalFlags) {
  const given = Object.entries({ order, steps, guidance, temperature }).filter(([, value]) => value !== undefined);
  return parseDrawInput({ prompt, seed, ...Object.fromEntries(given) });
}

/** GenEval's layout: `00007/metadata.jsonl` and `00007/samples/0000.png`. */
async function save(out: string, prompt: number, sample: number, metadata: Metadata, picture: Picture): Promise<void> {
  const folder = join(out, String(prompt).padStart(5, "0"));
  await mkdir(join(folder, "samples"), { recursive: true });
  await writeFile(join(folder, "metadata.jsonl"), `${JSON.stringify(metadata)}\n`);
  const bytes = await encodePicture(picture, "png");
  await writeFile(join(folder, "samples", `${String(sample).padStart(4, "0")}.png`), bytes);
}

if (import.meta.main) await main(evalCommand(openInference));
