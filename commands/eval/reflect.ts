/**
 * `eval reflect`: rounds of plan, drawing and verdict. The picture after k rounds of a run of more is that of a run of k,
 * so one run tells all numbers of rounds. Beside it: drawing anew without feedback, and under a judge who tosses a coin.
 *
 * @module
 */
import type { Drawn } from "../../bench/scenes/interval.ts";
import { createChooser } from "../../bench/scenes/random.ts";
import { loadWorld } from "../../bench/scenes/world.ts";
import type { RoundsResult } from "../../core/tasks/all_tasks.ts";
import { compared } from "./compared.ts";
import { type Bench, type Evaluation, rounded, runOn, saveLines, savePicture, throughAll } from "./evaluation.ts";
import { countOf, type EvalFlags } from "./flags.ts";
import { judgeReport } from "./judge_report.ts";
import { planAmong } from "./planned.ts";
import { printScores, scoresOf } from "./scores.ts";
import { type DrawJob, drawJobs } from "./t2i.ts";

const ROUNDS = 8;
/** After which the errors are told, and after the last. */
const AFTER = [1, 2, 4, 8] as const;

/** A round as it is scored. */
export interface JudgedRound {
  /** What the exact judge says. */
  readonly drawn: Drawn;
  /** What the model's own says; null: nobody judged. */
  readonly accepted: boolean | null;
  readonly verdict: string | null;
  readonly forwards: number;
}

type Rounds = readonly JudgedRound[];

export const reflectEvaluation: Evaluation = {
  takes: ["n", "seed", "seeds", "seen", "plan", "rounds", "out"],
  needs: () => ["reflect"],
  async check(flags) {
    countOf(flags, "rounds", ROUNDS);
    firstBy(flags);
    await drawJobs(await loadWorld(), flags);
  },
  async run(bench) {
    const { world, flags, output } = bench, rounds = countOf(flags, "rounds", ROUNDS), seed = flags.seed ?? 0;
    const jobs = await drawJobs(world, flags), plan = firstBy(flags);
    const all = (label: string, work: (job: DrawJob, index: number) => Promise<Rounds>) =>
      throughAll(bench, label, jobs, work);
    const feedback = await all("reflecting", (job, index) => reflected(bench, job, { rounds, ...plan }, index));
    // With one round there is nothing to draw anew.
    const redraw = rounds === 1
      ? feedback
      : await all("drawing anew", (job) => reflected(bench, job, { rounds, ...plan, feedback: false }));
    const first = feedback.flatMap(([round]) => round ?? []);
    const accepts = first.filter(({ accepted }) => accepted === true).length / Math.max(1, first.length);
    const random = await all(
      "tossing coins",
      (job, index) => tossed(bench, job, plan, { first: feedback[index]?.[0], rounds, accepts }),
    );
    await saveLines(
      bench,
      "rounds.jsonl",
      jobs.map(({ metadata, sample }, i) => ({ prompt: metadata.prompt, sample, rounds: feedback[i] })),
    );
    const base = drawnAfter(feedback, 1), end = drawnAfter(feedback, rounds);
    output.stderr(`after 1 round\n`);
    printScores(output, scoresOf(base));
    output.stderr(`after up to ${rounds} rounds\n`);
    printScores(output, scoresOf(end));
    return {
      ...scoresOf(end),
      seed,
      seeds: countOf(flags, "seeds", 1),
      rounds,
      split: flags.seen ? "seen" : "geneval",
      plan: flags.plan ?? "own",
      after: curveOf(feedback, rounds).map((point) => {
        if (point.rounds === 1) return point;
        const own = drawnAfter(feedback, point.rounds);
        return {
          ...point,
          // The first round's picture: a plan, and a drawing after it.
          over_first: compared(base, own),
          over_redraw: compared(drawnAfter(redraw, point.rounds), own),
          over_random: compared(drawnAfter(random, point.rounds), own),
        };
      }),
      redraw: { after: curveOf(redraw, rounds) },
      random: { accepts: rounded(accepts), after: curveOf(random, rounds) },
      judge: judgeReport(first),
    };
  },
};

/** Whether a round begins with a plan. */
interface FirstBy {
  readonly plan?: false;
}

/** @throws {UnmaskError} `plan_unknown` */
function firstBy({ plan = "own" }: EvalFlags): FirstBy {
  return planAmong(plan, ["own", "none"]) === "own" ? {} : { plan: false };
}

async function reflected(
  bench: Bench,
  { metadata, prompt, input }: DrawJob,
  options: FirstBy & { readonly rounds: number; readonly feedback?: boolean; readonly judge?: boolean },
  index?: number,
): Promise<Rounds> {
  const { result } = await runOn<RoundsResult>(bench, "reflect", { ...input, ...options });
  const rounds: JudgedRound[] = [];
  for (const { round, picture, accepted, verdict, forwards: { plan, draw, judge } } of result.rounds) {
    if (index !== undefined) await savePicture(bench, index, `round${round}`, picture);
    rounds.push({
      drawn: { tag: metadata.tag, prompt, verdict: bench.judgeOf().judge(picture, metadata) },
      accepted,
      verdict,
      forwards: plan + draw + judge,
    });
  }
  return rounds;
}

/**
 * Drawn anew, each time with another seed, until a coin accepts that comes up as often as the model's judge accepts. The
 * first picture is that of the other ways.
 */
async function tossed(
  bench: Bench,
  job: DrawJob,
  plan: FirstBy,
  { first, rounds, accepts }: {
    readonly first: JudgedRound | undefined;
    readonly rounds: number;
    readonly accepts: number;
  },
): Promise<Rounds> {
  if (first === undefined) throw new RangeError("a reflection has one round at least");
  const coin = createChooser(job.input.seed), done = [first];
  const accepted = () => coin.below(1_000_000) < accepts * 1_000_000;
  for (let round = 1; round < rounds && !accepted(); round++) {
    // Far from the seeds of other pictures.
    const input = { ...job.input, seed: job.input.seed + round * SEED_STEP };
    done.push(...await reflected(bench, { ...job, input }, { rounds: 1, ...plan, judge: false }));
  }
  return done;
}

const SEED_STEP = 1_000_003;

/** The round that stands after `k`. */
function after(ways: readonly Rounds[], k: number): JudgedRound[] {
  return ways.flatMap((rounds) => rounds[Math.min(k, rounds.length) - 1] ?? []);
}

function drawnAfter(ways: readonly Rounds[], k: number): Drawn[] {
  return after(ways, k).map(({ drawn }) => drawn);
}

/** Strict errors, GenEval's errors and mean forwards after 1, 2, 4, ... rounds. */
function curveOf(ways: readonly Rounds[], rounds: number) {
  return [...AFTER.filter((k) => k < rounds), rounds].map((k) => {
    const { strict, mean, strict_interval } = scoresOf(drawnAfter(ways, k));
    const forwards = ways.map((own) => own.slice(0, k).reduce((sum, round) => sum + round.forwards, 0));
    const [low, high] = strict_interval;
    return {
      rounds: k,
      strict_errors: rounded(1 - strict),
      strict_errors_interval: [rounded(1 - high), rounded(1 - low)],
      errors: rounded(1 - mean),
      forwards: rounded(forwards.reduce((sum, own) => sum + own, 0) / Math.max(1, forwards.length)),
    };
  });
}
