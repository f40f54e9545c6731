/**
 * Which tasks the weights of a model folder were trained for, as its `generation.json` may say under `tasks`: whether a
 * part is there can be read off the weights, but not what it was taught.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { type TaskName, TASKS } from "./all_tasks.ts";

const file = z.object({ tasks: z.array(z.enum(TASKS)).min(1).default([...TASKS]) });

/**
 * @param json the parsed `generation.json`
 * @returns all tasks if it does not say
 * @throws {UnmaskError} `generation_invalid` (500)
 */
export function parseTrainedTasks(json: unknown): readonly TaskName[] {
  const parsed = file.safeParse(json);
  if (parsed.success) return parsed.data.tasks;
  const issue = parsed.error.issues[0];
  throw new UnmaskError({
    code: "generation_invalid",
    message: `generation.json: ${issue?.path.join(".") ?? ""}: ${issue?.message}`,
    fix: `list some of ${TASKS.join(", ")}, or leave \`tasks\` out`,
    status: 500,
  });
}
