/**
 * What may be asked of a draw, and the refusal of what may not.
 *
 * @module
 */
import { z } from "zod";
import { ORDERS } from "../diffusion/order/order.ts";
import { CONFIDENCE_POLICIES } from "../diffusion/order/confidence.ts";
import { SCHEDULES } from "../diffusion/schedule.ts";
import { DECAYS } from "../diffusion/temperature.ts";
import { UnmaskError } from "../errors.ts";
import { planInput } from "./plan_input.ts";

const fraction = z.number().min(0).max(1);

/** The options of sampling; any may be absent (facts 6.1, 6.2). */
export const drawOptions = z.strictObject({
  /** Forward passes over the picture; named schedules use at most one a position. */
  steps: z.int().min(1).max(256).optional(),
  /** w of (1 + w) c - w u; 0 needs no unconditional row. */
  guidance: z.number().min(0).max(20).optional(),
  /** Fractions [a, b] of the steps that are guided, ends included; null: all. */
  guidanceInterval: z.tuple([fraction, fraction]).refine(([a, b]) => a <= b).nullable().optional(),
  /** Of sampling; 0 takes the likeliest. */
  temperature: z.number().min(0).max(10).optional(),
  /** How the sampling temperature falls, and to which fraction of itself. */
  temperatureDecay: z.enum(DECAYS).optional(),
  temperatureMinimum: fraction.optional(),
  order: z.enum(ORDERS).optional(),
  /** The next four: order `confidence` only. */
  confidencePolicy: z.enum(CONFIDENCE_POLICIES).optional(),
  /** a of a T_s, the weight of the noise on confidence. */
  confidenceTemperature: z.number().min(0).max(100).optional(),
  /** How T_s falls from 1, and to what; the published code refuses `exp` here. */
  confidenceDecay: z.enum(DECAYS).exclude(["exp"]).optional(),
  confidenceMinimum: fraction.optional(),
  schedule: z.enum(SCHEDULES).optional(),
  /** Of the schedule and the decays called `shift`. */
  shift: z.number().positive().max(100).optional(),
  /** Given together or not at all; 0 and 1 keep every id. */
  topK: z.int().min(0).max(65_535).optional(),
  topP: z.number().positive().max(1).optional(),
  /** Micro-conditioning text (facts 3.4); null: that of a picture of the native size. */
  micro: z.string().max(400).nullable().optional(),
});

export type DrawOptions = z.infer<typeof drawOptions>;

/** Every option, chosen. */
export const drawChoice = drawOptions.required();

export const drawInput = drawOptions.extend({
  prompt: z.string(),
  /** 0 to 2^53 - 1; the same seed and options draw the same picture. */
  seed: z.int().min(0),
  /** `auto` or the native size as `256x256`. */
  size: z.string().optional(),
  /** Where things go; it stands before the picture (facts 6.7). */
  plan: planInput.optional(),
});

export type DrawInput = z.infer<typeof drawInput>;

/** Codes and remedies by field. */
const REFUSALS: Readonly<Record<string, readonly [code: string, fix: string]>> = {
  prompt: ["prompt_missing", "say what to draw"],
  seed: ["seed_out_of_range", "use a whole number from 0 to 9007199254740991"],
  size: ["size_unsupported", "leave it out, or use auto"],
  steps: ["steps_out_of_range", "use a whole number from 1 to 256"],
  guidance: ["guidance_out_of_range", "use 0 to 20"],
  guidanceInterval: ["guidance_interval_invalid", "use two fractions in order, such as [0.2, 0.8]"],
  temperature: ["temperature_out_of_range", "use 0 to 10"],
  temperatureDecay: ["decay_unknown", `use ${DECAYS.join(", ")}`],
  temperatureMinimum: ["minimum_out_of_range", "use 0 to 1"],
  order: ["order_unknown", `use ${ORDERS.join(", ")}`],
  confidencePolicy: ["confidence_policy_unknown", `use ${CONFIDENCE_POLICIES.join(" or ")}`],
  confidenceTemperature: ["confidence_temperature_out_of_range", "use 0 to 100"],
  confidenceDecay: ["decay_unknown", `use ${DECAYS.filter((name) => name !== "exp").join(", ")}`],
  confidenceMinimum: ["minimum_out_of_range", "use 0 to 1"],
  schedule: ["schedule_unknown", `use ${SCHEDULES.join(", ")}`],
  shift: ["shift_out_of_range", "use a number above 0 and up to 100"],
  topK: ["top_k_out_of_range", "use a whole number from 0 to 65535"],
  topP: ["top_p_out_of_range", "use a number above 0 and up to 1"],
  micro: ["micro_too_long", "use at most 400 characters"],
  plan: ["plan_invalid", 'use boxes such as [{"label": "red car", "xyxy": [32, 64, 160, 192]}], or the text of a plan'],
};

/**
 * @throws {UnmaskError} `unknown_parameter`, the codes of {@link REFUSALS}, or `invalid_input` if it is no object
 */
export function parseDrawInput(value: unknown): DrawInput {
  const parsed = drawInput.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues;
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys")?.keys[0];
  if (unknown !== undefined) {
    throw new UnmaskError({
      code: "unknown_parameter",
      message: `there is no parameter \`${unknown.replace(/[^\x20-\x7e]/g, "?").slice(0, 64)}\``,
      fix: `leave it out; the parameters are ${Object.keys(drawInput.shape).join(", ")}`,
    });
  }
  const field = issues[0]?.path[0];
  const refusal = typeof field === "string" ? REFUSALS[field] : undefined;
  if (typeof field !== "string" || refusal === undefined) {
    throw new UnmaskError({
      code: "invalid_input",
      message: "a draw takes an object",
      fix: "give a prompt and a seed",
    });
  }
  const [code, fix] = refusal;
  throw new UnmaskError({ code, message: `this value of \`${field}\` is not supported`, fix, param: field });
}
