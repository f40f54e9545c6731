/**
 * What the weights of a model folder were trained for, as its `generation.json` may say: whether a part is there can be
 * read off the weights, but not what it was taught.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { type TaskName, TASKS } from "./all_tasks.ts";

export interface Trained {
  /** @default {all} */
  readonly tasks: readonly TaskName[];
  /** Whether a drawing was ever shown the failures before it. @default {true} */
  readonly feedback: boolean;
}

const file = z.object({
  tasks: z.array(z.enum(TASKS)).min(1).default([...TASKS]),
  feedback: z.boolean().default(true),
});

/**
 * @param json the parsed `generation.json`
 * @throws {UnmaskError} `generation_invalid` (500)
 */
export function parseTrained(json: unknown): Trained {
  const parsed = file.safeParse(json);
  if (parsed.success) return { tasks: parsed.data.tasks, feedback: parsed.data.feedback };
  const issue = parsed.error.issues[0];
  throw new UnmaskError({
    code: "generation_invalid",
    message: `generation.json: ${issue?.path.join(".") ?? ""}: ${issue?.message}`,
    fix: `list some of ${TASKS.join(", ")} as \`tasks\`, and true or false as \`feedback\`, or leave them out`,
    status: 500,
  });
}
