/**
 * `generation.json` of a model folder, which may be absent: the best steps and guidance are facts about weights, and what
 * they were taught cannot be read off them.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { type TaskName, TASKS } from "./all_tasks.ts";
import { choose, DRAW_DEFAULTS, type DrawDefaults } from "./draw_defaults.ts";
import { drawOptions } from "./draw_input.ts";

export interface GenerationFile {
  /** What a draw uses when nobody says. @default {DRAW_DEFAULTS} */
  readonly generation: DrawDefaults;
  /** What the weights were trained for. @default {all} */
  readonly tasks: readonly TaskName[];
  /** Whether a drawing was ever shown the failures before it. @default {true} */
  readonly feedback: boolean;
}

// Strict: the file is ours alone, and a misspelt key would say nothing.
const file = z.strictObject({
  generation: drawOptions.default({}),
  tasks: z.array(z.enum(TASKS)).min(1).default([...TASKS]),
  feedback: z.boolean().default(true),
});

/**
 * @param json the parsed file, or {} where there is none
 * @throws {UnmaskError} `generation_invalid` (500)
 */
export function parseGenerationFile(json: unknown): GenerationFile {
  const parsed = file.safeParse(json);
  if (parsed.success) return { ...parsed.data, generation: choose(DRAW_DEFAULTS, parsed.data.generation) };
  const issue = parsed.error.issues[0];
  const at = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  throw new UnmaskError({
    code: "generation_invalid",
    message: `generation.json: ${at}${issue?.message}`,
    fix:
      `options of a draw as \`generation\`, some of ${TASKS.join(", ")} as \`tasks\`, true or false as \`feedback\`; ` +
      "each may be left out, and the file too",
    status: 500,
  });
}
