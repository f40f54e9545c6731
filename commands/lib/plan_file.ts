/**
 * A plan in a file: boxes as `deno task plan --json` prints them, changed or not.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";
import { parseJson } from "../../core/model/small_files.ts";
import { type PlanBox, planBox, planVerb } from "../../core/tasks/plan_input.ts";
import { readFile } from "./picture_file.ts";

/** What else the line says is of no use to a drawing. */
const box = z.object({ ...planBox.shape });
const schema = z.union([
  z.array(box),
  z.object({ boxes: z.array(box), verb: planVerb.nullish() }),
]);

/** @throws {UnmaskError} `plan_not_readable`, `plan_invalid` */
export async function readPlan(path: string): Promise<{ readonly plan: PlanBox[]; readonly planVerb?: string }> {
  const text = new TextDecoder().decode(await readFile(path, "plan"));
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new UnmaskError({
      code: "plan_invalid",
      message: "the file holds no boxes of a plan",
      fix: 'write [{"label": "red car", "xyxy": [32, 64, 160, 192]}], or keep what deno task plan --json prints',
      param: "plan",
      cause: parsed.error,
    });
  }
  const { data } = parsed;
  if (Array.isArray(data)) return { plan: data };
  return { plan: data.boxes, ...(data.verb === undefined || data.verb === null ? {} : { planVerb: data.verb }) };
}
