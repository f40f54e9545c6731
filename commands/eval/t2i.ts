/**
 * `eval t2i`: draws GenEval's prompts, or generated ones, and lets the judge of scenes score the pictures.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Metadata } from "../../bench/scenes/prompt.ts";
import { choosePrompts } from "../../bench/scenes/prompts.ts";
import { loadWorld, type World } from "../../bench/scenes/world.ts";
import { encodePicture } from "../../core/image/codec.ts";
import type { Picture } from "../../core/model/types.ts";
import { type DrawInput, parseDrawInput } from "../../core/tasks/draw_input.ts";
import type { FinishedDraw } from "../../core/tasks/remote.ts";
import { type Evaluation, throughAll } from "./evaluation.ts";
import { countOf, type EvalFlags } from "./flags.ts";
import { drawPlanned, plannedReport, planOf } from "./planned.ts";
import { printScores, scoresOf } from "./scores.ts";

/** One picture to draw. */
export interface DrawJob {
  readonly metadata: Metadata;
  /** Number of the prompt, and of its picture. */
  readonly prompt: number;
  readonly sample: number;
  readonly input: DrawInput;
}

/** Prompts by the flags n, seed and seen; each picture has a seed of its own. @throws {UnmaskError} */
export async function drawJobs(world: World, flags: EvalFlags): Promise<DrawJob[]> {
  const seed = flags.seed ?? 0, seeds = countOf(flags, "seeds", 1);
  const choice = flags.n === undefined ? {} : { n: flags.n };
  const prompts = await choosePrompts(world, { seed, seen: flags.seen, ...choice });
  return prompts.flatMap((metadata, prompt) =>
    Array.from({ length: seeds }, (_, sample) => {
      const input = drawInput(metadata.prompt, seed + prompt * seeds + sample, flags);
      return { metadata, prompt, sample, input };
    })
  );
}

function drawInput(prompt: string, seed: number, { order, steps, guidance, temperature }: EvalFlags) {
  const given = Object.entries({ order, steps, guidance, temperature }).filter(([, value]) => value !== undefined);
  return parseDrawInput({ prompt, seed, ...Object.fromEntries(given) });
}

export const t2iEvaluation: Evaluation = {
  takes: ["n", "seed", "seeds", "seen", "plan", "order", "steps", "guidance", "temperature", "out"],
  needs: (flags) => planOf(flags) === "own" ? ["draw", "plan"] : ["draw"],
  async check(flags) {
    planOf(flags);
    await drawJobs(await loadWorld(), flags);
  },
  async run(bench) {
    const { world, inference, flags, output, signal, out } = bench, judge = bench.judgeOf();
    const jobs = await drawJobs(world, flags);
    let settings: Pick<FinishedDraw, "steps" | "guidance" | "order"> | undefined;
    const kind = planOf(flags);
    const all = await throughAll(bench, "evaluating", jobs, async (job) => {
      const { metadata, prompt, sample, input } = job;
      const draw = await inference.draw(input, { signal });
      const own = { tag: metadata.tag, prompt, verdict: judge.judge(draw.picture, metadata) };
      settings ??= { steps: draw.steps, guidance: draw.guidance, order: draw.order };
      if (out !== undefined) await save(out, prompt, sample, metadata, draw.picture);
      return kind === "none" ? { own } : { own, planned: await drawPlanned(bench, kind, job, own) };
    });
    const drawn = all.map(({ own }) => own), planned = all.flatMap(({ planned }) => planned ?? []);
    const prompts = [...new Map(jobs.map(({ prompt, metadata }) => [prompt, metadata])).values()];
    if (out !== undefined) {
      await writeFile(join(out, "metadata.jsonl"), prompts.map((record) => `${JSON.stringify(record)}\n`).join(""));
    }
    const scores = scoresOf(drawn);
    printScores(output, scores);
    const comparison = kind === "none" ? {} : { planned: { plan: kind, ...plannedReport(output, drawn, planned) } };
    return {
      ...scores,
      prompts: prompts.length,
      seed: flags.seed ?? 0,
      seeds: countOf(flags, "seeds", 1),
      split: flags.seen ? "seen" : "geneval",
      ...settings,
      ...comparison,
    };
  },
};

/** GenEval's layout: `00007/metadata.jsonl` and `00007/samples/0000.png`. */
async function save(out: string, prompt: number, sample: number, metadata: Metadata, picture: Picture): Promise<void> {
  const folder = join(out, String(prompt).padStart(5, "0"));
  await mkdir(join(folder, "samples"), { recursive: true });
  await writeFile(join(folder, "metadata.jsonl"), `${JSON.stringify(metadata)}\n`);
  const bytes = await encodePicture(picture, "png");
  await writeFile(join(folder, "samples", `${String(sample).padStart(4, "0")}.png`), bytes);
}
