/**
 * Drawing after a plan, the model's own or a true one, beside drawing without: `eval t2i --plan own|true`.
 *
 * @module
 */
import { createGenerator } from "../../bench/scenes/generate.ts";
import type { Drawn } from "../../bench/scenes/interval.ts";
import { planOf as planOfScene } from "../../bench/scenes/plans.ts";
import { UnmaskError } from "../../core/errors.ts";
import type { PlanBox } from "../../core/tasks/plan_input.ts";
import type { Output } from "../lib/command.ts";
import { compared } from "./compared.ts";
import { type Bench, rounded } from "./evaluation.ts";
import type { EvalFlags } from "./flags.ts";
import { ownPlan } from "./own_plan.ts";
import { printScores, scoresOf } from "./scores.ts";
import type { DrawJob } from "./t2i.ts";

const PLANS = ["none", "own", "true"] as const;
export type PlanKind = (typeof PLANS)[number];

/** The plans that t2i draws after. @throws {UnmaskError} `plan_unknown` */
export function planOf({ plan = "none" }: EvalFlags): PlanKind {
  return planAmong(plan, PLANS);
}

/** @param known those that an evaluation has. @throws {UnmaskError} `plan_unknown` */
export function planAmong<Kind extends PlanKind>(plan: string, known: readonly Kind[]): Kind {
  const found = known.find((name) => name === plan);
  if (found !== undefined) return found;
  throw new UnmaskError({
    code: "plan_unknown",
    message: "there is no such plan to draw after",
    fix: `use --plan ${known.join(", ")}`,
    param: "plan",
  });
}

export interface Planned extends Drawn {
  /** The plan could be read; without, the picture is the one that was drawn without. */
  readonly readable: boolean;
}

/** The same prompt and seed, after a plan. @param without what was drawn without */
export async function drawPlanned(
  bench: Bench,
  kind: Exclude<PlanKind, "none">,
  { metadata, input }: DrawJob,
  without: Drawn,
): Promise<Planned> {
  const plan = kind === "own"
    ? await ownBoxes(bench, input.prompt, input.seed)
    : trueBoxes(bench, metadata, input.seed);
  if (plan === undefined) return { ...without, readable: false };
  const { picture } = await bench.inference.draw({ ...input, plan: [...plan] }, { signal: bench.signal });
  return { ...without, verdict: bench.judgeOf().judge(picture, metadata), readable: true };
}

async function ownBoxes(bench: Bench, prompt: string, seed: number): Promise<readonly PlanBox[] | undefined> {
  const { readable, fields } = await ownPlan(bench, { prompt, seed });
  return readable ? fields.plan : undefined;
}

/** Of a scene that the judge would pass, another one for each seed. */
function trueBoxes({ world }: Bench, metadata: DrawJob["metadata"], seed: number): readonly PlanBox[] {
  const boxes = planOfScene(world, metadata, createGenerator(world, seed).scene(metadata));
  return boxes.map(({ label, xyxy: [left, top, right, bottom] }) => ({ label, xyxy: [left, top, right, bottom] }));
}

export function plannedReport(output: Output, without: readonly Drawn[], planned: readonly Planned[]) {
  const scores = scoresOf(planned), comparison = compared(without, planned);
  output.stderr("after a plan\n");
  printScores(output, scores);
  return {
    ...scores,
    ...comparison,
    readable: rounded(planned.filter(({ readable }) => readable).length / Math.max(1, planned.length)),
  };
}
