/**
 * How text is decoded, as callers may ask for it: answers and plans (facts 6.5).
 *
 * @module
 */
import { z } from "zod";
import { SCHEDULES } from "../diffusion/schedule.ts";
import { TEXT_CONFIDENCES } from "../diffusion/text_blocks.ts";
import type { Model } from "../model/types.ts";
import { unusedOption } from "./draw_refusals.ts";
import type { TextSettings } from "./text_stepper.ts";

export const textOptions = {
  /** Tokens of the text, a multiple of `block`. */
  length: z.int().min(1).max(4096).optional(),
  /** Tokens that are decoded together. @default {16, or `length` if that is less} */
  block: z.int().min(1).max(4096).optional(),
  /** Forwards a block. @default {one a token} */
  stepsPerBlock: z.int().min(1).max(4096).optional(),
  /** How a block's tokens spread over its steps. @default {"none"}, evenly */
  schedule: z.enum(SCHEDULES).optional(),
  /** Of the schedule `shift`. @default {3} */
  shift: z.number().positive().max(100).optional(),
  /** 0 takes the likeliest. */
  temperature: z.number().min(0).max(10).optional(),
  /** What ranks the tokens of a block. @default {"probability"} */
  confidence: z.enum(TEXT_CONFIDENCES).optional(),
  /** 0 to 2^53 - 1. @default {0} */
  seed: z.int().min(0).optional(),
  /** The prompt is read once and does not see the text. @default {true} */
  prefixCache: z.boolean().optional(),
};

const schema = z.strictObject(textOptions);
export type TextOptions = z.infer<typeof schema>;

export interface TextDefaults {
  readonly length: number;
  readonly temperature: number;
  /** Tokens that end a text early. */
  readonly ends: readonly number[];
}

/** @throws {UnmaskError} `option_unused` */
export function textSettings(asked: TextOptions, defaults: TextDefaults, { config }: Model): TextSettings {
  const { length = defaults.length, temperature = defaults.temperature } = asked;
  const { prefixCache = true, schedule = "none", shift } = asked;
  if (shift !== undefined && schedule !== "shift") throw unusedOption("shift", "the schedule shift");
  if (!prefixCache && config.promptAttention === "prefix") {
    throw unusedOption("prefixCache", "a model whose prompt sees the answer");
  }
  const block = asked.block ?? Math.min(16, length);
  return {
    length,
    block,
    stepsPerBlock: asked.stepsPerBlock ?? block,
    schedule,
    ...(shift === undefined ? {} : { shift }),
    temperature,
    confidence: asked.confidence ?? "probability",
    seed: asked.seed ?? 0,
    ends: defaults.ends,
    prefixCache,
  };
}
