/**
 * The model's own plan, of a drawing or an edit, before anything is drawn by it.
 *
 * @module
 */
import type { Plan } from "../../bench/scenes/plans.ts";
import type { EditPlanVerb } from "../../core/model/prompts.ts";
import { type TextResult, thoseFound } from "../../core/tasks/all_tasks.ts";
import type { PlanBox } from "../../core/tasks/plan_input.ts";
import { type Bench, runOn } from "./evaluation.ts";

export interface ReadPlan extends Plan {
  readonly said: string;
  /** Fields of a drawing's or an edit's input. */
  readonly fields: { readonly plan: readonly PlanBox[]; readonly planVerb?: EditPlanVerb };
  /** Every piece is an object with its box, and there is one: a drawing would refuse another. */
  readonly readable: boolean;
  readonly forwards: number;
}

/** @param input a prompt, or an instruction and its picture, and a seed. @throws {UnmaskError} `task_not_supported` */
export async function ownPlan(bench: Bench, input: Readonly<Record<string, unknown>>): Promise<ReadPlan> {
  const { result, forwards } = await runOn<TextResult>(bench, "plan", input);
  const { text: said, malformed = [], verb } = result;
  const boxes = thoseFound(result.boxes);
  // An edit's plan says with its first words what it is about.
  const readable = boxes.length > 0 && malformed.length === 0 && verb !== null;
  const fields = {
    plan: boxes.map(({ label, xyxy: [left, top, right, bottom] }): PlanBox => ({
      label,
      xyxy: [left, top, right, bottom],
    })),
    ...(verb === undefined || verb === null ? {} : { planVerb: verb }),
  };
  return { said, boxes, malformed, fields, readable, forwards };
}
