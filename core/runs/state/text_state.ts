/**
 * What states that hold text have in common: its settings as JSON, and the text itself as bytes.
 *
 * @module
 */
import { z } from "zod";
import { SCHEDULES } from "../../diffusion/schedule.ts";
import { TEXT_CONFIDENCES } from "../../diffusion/text_blocks.ts";
import { decodeSequence, unreadableState } from "../../tasks/sequence.ts";
import type { TextState } from "../../tasks/text_stepper.ts";

const count = z.int().min(0);

export const textSettingsSchema = z.object({
  length: count,
  block: count,
  stepsPerBlock: count,
  schedule: z.enum(SCHEDULES),
  shift: z.number().exactOptional(),
  temperature: z.number(),
  confidence: z.enum(TEXT_CONFIDENCES),
  seed: count,
  ends: z.array(count),
  prefixCache: z.boolean(),
});

/** @throws {UnmaskError} `state_unreadable` */
export function textFrom(settings: TextState["settings"], step: number, bytes: Uint8Array): TextState {
  const sequence = decodeSequence(bytes);
  if (sequence.ids.length !== settings.length) throw unreadableState("its text has another length");
  return { settings, step, sequence };
}
