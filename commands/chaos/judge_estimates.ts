/**
 * What the front, which has no model, says that a run would cost, against what such a run took.
 *
 * @module
 */
import type { Estimate } from "../../core/runs/estimate.ts";
import type { RunEvent, RunRecord } from "../../core/runs/record.ts";
import type { Client, Promised } from "./client.ts";
import type { Violations } from "./oracle.ts";

/** Asks for one run of each task. How many steps a run has is its first step's word: a reflection's grow by rounds. */
export async function judgeEstimates(
  client: Client,
  promised: readonly Promised[],
  records: ReadonlyMap<string, RunRecord>,
  events: ReadonlyMap<string, readonly RunEvent[]>,
  violations: Violations,
): Promise<Readonly<Record<string, Estimate>>> {
  const estimates: Record<string, Estimate> = {};
  for (const { id, plan } of promised) {
    const record = records.get(id);
    if (plan.behaviour !== "plain" || record?.state !== "succeeded" || estimates[plan.task] !== undefined) continue;
    const took = Number(events.get(id)?.find(({ type }) => type === "run.step")?.data.steps);
    const { steps, tokens, seconds } = estimates[plan.task] = await client.estimate(plan);
    const what = `${plan.task}: ${steps} steps, ${tokens} tokens, ${seconds} s; it began with ${took} steps`;
    if (steps !== took || !(Number(tokens) > 0)) violations.add("estimate_differs", what);
    if (!(Number(seconds) > 0)) violations.add("estimate_missing", what);
  }
  return estimates;
}
