/**
 * What inputs of several tasks have in common: pictures, and the error for what a schema refuses.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import type { Picture } from "../model/types.ts";

/** Of a side in pixels; a decoder refuses larger pictures before they are decoded. */
const LARGEST_SIDE = 16_384;

/** 8-bit RGB pixels, [height, width, 3]. */
export const pictureInput: z.ZodType<Picture> = z.strictObject({
  width: z.int().min(1).max(LARGEST_SIDE),
  height: z.int().min(1).max(LARGEST_SIDE),
  data: z.instanceof(Uint8Array),
}, {
  error: ({ input }) => Array.isArray(input) ? `one picture is meant here, and ${input.length} came` : undefined,
}).refine(({ width, height, data }) => data.length === width * height * 3, { error: "holds another number of bytes" });

/**
 * A value as a task's schema has it.
 *
 * @throws {UnmaskError} `unknown_parameter`; `<field>_missing` or `<field>_invalid` with the field in snake case;
 * `invalid_input` if it is no object
 */
export function parseInput<T>(schema: z.ZodType<T>, value: unknown, task: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw new UnmaskError({
      code: "unknown_parameter",
      message: `there is no parameter \`${(issue.keys[0] ?? "").replace(/[^\x20-\x7e]/g, "?").slice(0, 64)}\``,
      fix: `leave it out`,
    });
  }
  const field = issue?.path[0];
  if (issue === undefined || typeof field !== "string") {
    throw new UnmaskError({ code: "invalid_input", message: `${task} takes an object`, fix: "give its parameters" });
  }
  const name = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  if (issue.path.length === 1 && (value as Record<string, unknown>)[field] === undefined) throw missing(name, field);
  throw new UnmaskError({
    code: `${name}_invalid`,
    message: `this value of \`${field}\` is not supported: ${issue.message}`,
    fix: "give a value in its range, or leave the parameter out if it is optional",
    param: field,
  });
}

/** @param param the field; its name in snake case begins the code */
export function missing(name: string, param = name): UnmaskError {
  return new UnmaskError({ code: `${name}_missing`, message: `\`${param}\` is missing`, fix: "give it", param });
}
