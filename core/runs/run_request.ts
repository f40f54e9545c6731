/**
 * What may be said of a run when it is asked for, whatever its task.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { encodingSchema } from "./record.ts";
import { boxSchema } from "../image/region.ts";

const options = {
  /** 0 to 9; higher goes first. */
  priority: z.int().min(0).max(9).optional(),
  /** The picture shall be whole within this many ms, at the price of fewer steps. */
  budget_ms: z.int().min(1).max(86_400_000).nullable().optional(),
  /** Ms from now after which the run ends as `expired`. */
  deadline_ms: z.int().min(1).max(2_592_000_000).nullable().optional(),
  /** Ms at work after which the run ends as `expired`; waiting does not count. */
  work_ms: z.int().min(1).max(2_592_000_000).nullable().optional(),
  /** Fail rather than go on with other numerics. */
  require_exact: z.boolean().optional(),
  /** Of the picture file. @default {png} */
  output: encodingSchema.optional(),
  webhooks: z.array(z.record(z.string(), z.json())).max(10).optional(),
};

const input = z.record(z.string(), z.json());

export const createSchema = z.strictObject({ task: z.string(), input, ...options });
export const forkSchema = z.strictObject({ step: z.int().min(0), input: input.optional(), ...options });
export const redrawSchema = z.strictObject({
  boxes: z.array(boxSchema).min(1).max(64).optional(),
  /** A picture file in base64; its light half is redrawn. */
  mask: z.string().optional(),
  input: input.optional(),
  ...options,
});

export type CreateRequest = z.infer<typeof createSchema>;
export type ForkRequest = z.infer<typeof forkSchema>;
export type RedrawRequest = z.infer<typeof redrawSchema>;

const FIXES: Readonly<Record<string, string>> = {
  task: "name a task, such as draw",
  input: "give the task's input as an object",
  priority: "use a whole number from 0 to 9",
  budget_ms: "use milliseconds, 1 to 86400000",
  deadline_ms: "use milliseconds, 1 to 2592000000",
  work_ms: "use milliseconds, 1 to 2592000000",
  require_exact: "use true or false",
  output: 'use {"format": "png"}, or jpeg or webp with a quality from 0 to 100',
  webhooks: "use at most 10 objects",
  step: "use a step that the run has done",
  boxes: "use boxes [left, top, right, bottom] in pixels",
  mask: "use a picture file in base64",
};

/** @throws {UnmaskError} `unknown_parameter`, `invalid_run` */
export function parseRequest<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues;
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys")?.keys[0];
  if (unknown !== undefined) {
    const name = unknown.replace(/[^\x20-\x7e]/g, "?").slice(0, 64);
    throw new UnmaskError({
      code: "unknown_parameter",
      message: `there is no parameter \`${name}\``,
      fix: `leave it out; the parameters are ${Object.keys(FIXES).join(", ")}`,
      param: name,
    });
  }
  const field = issues[0]?.path[0];
  const named = typeof field === "string" && field in FIXES ? field : undefined;
  throw new UnmaskError({
    code: "invalid_run",
    message: named === undefined ? "the body is no run" : `this value of \`${named}\` is not supported`,
    fix: named === undefined
      ? 'send an object, such as {"task": "draw", "input": {"prompt": "a dog"}}'
      : FIXES[named] ?? "",
    ...(named === undefined ? {} : { param: named }),
  });
}
