/**
 * `eval plan`: the model's own plans of prompts, by the rules of pictures.
 *
 * @module
 */
import { judgePlan } from "../../bench/scenes/plans.ts";
import { KINDS, type Metadata } from "../../bench/scenes/prompt.ts";
import { choosePrompts } from "../../bench/scenes/prompts.ts";
import { type Outcome, sharesOf } from "../../bench/scenes/shares.ts";
import { loadWorld, type World } from "../../bench/scenes/world.ts";
import type { Split } from "../../bench/scenes/combinations.ts";
import { type Evaluation, rounded, saveLines, throughAll } from "./evaluation.ts";
import type { EvalFlags } from "./flags.ts";
import { ownPlan } from "./own_plan.ts";
import { printShares } from "./report.ts";

/** Prompts of seen combinations, where nobody says: as many as GenEval's are, in equal shares of the kinds. */
const SEEN = 228;

interface PlanCase {
  readonly split: Split;
  readonly metadata: Metadata;
}

/** GenEval's prompts, whose pairs and colours are all held out, and generated ones. @throws {UnmaskError} */
export async function planCases(world: World, { n, seed = 0 }: Pick<EvalFlags, "n" | "seed">): Promise<PlanCase[]> {
  const held = await choosePrompts(world, { seed, seen: false, ...(n === undefined ? {} : { n }) });
  const seen = await choosePrompts(world, { seed, seen: true, n: n ?? SEEN });
  return [
    ...held.map((metadata): PlanCase => ({ split: "held_out", metadata })),
    ...seen.map((metadata): PlanCase => ({ split: "seen", metadata })),
  ];
}

export const planEvaluation: Evaluation = {
  takes: ["n", "seed", "out"],
  needs: () => ["plan"],
  check: async (flags) => void await planCases(await loadWorld(), flags),
  async run(bench) {
    const { world, flags, output } = bench, seed = flags.seed ?? 0;
    const cases = await planCases(world, flags);
    const plans = await throughAll(bench, "planning", cases, async ({ metadata }, index) => {
      const plan = await ownPlan(bench, { prompt: metadata.prompt, seed: seed + index });
      return { ...plan, ...judgePlan(world, plan, metadata) };
    });
    const outcomes = cases.map(({ split, metadata }, group): Outcome => ({
      kind: metadata.tag,
      split,
      group,
      right: plans[group]?.valid ?? false,
    }));
    await saveLines(
      bench,
      "plans.jsonl",
      cases.map(({ split, metadata }, i) => ({ split, ...metadata, ...plans[i], fields: undefined })),
    );
    const shares = sharesOf(outcomes, KINDS);
    printShares(output, "plan", shares);
    return {
      ...shares,
      seed,
      /** A drawing would refuse the others. */
      readable: rounded(plans.filter(({ readable }) => readable).length / plans.length),
      forwards: rounded(plans.reduce((sum, { forwards }) => sum + forwards, 0) / plans.length),
    };
  },
};
