/**
 * The release's settings of a sampling loop, in the words of the draw task.
 *
 * @module
 */
import type { EditMode } from "../../core/diffusion/guidance.ts";
import type { DecayName } from "../../core/diffusion/temperature.ts";
import type { ScheduleName } from "../../core/diffusion/schedule.ts";
import { DRAW_DEFAULTS } from "../../core/tasks/draw_defaults.ts";
import type { DrawSettings } from "../../core/tasks/draw_state.ts";
import type { Json } from "./case_file.ts";

export interface LoopSettings {
  readonly draw: DrawSettings;
  /** VQ ids of the picture, a square. */
  readonly positions: number;
  /** Its side in pixels. */
  readonly side: number;
  readonly plan: string | undefined;
  readonly feedback: readonly string[];
  readonly editMode: EditMode;
  readonly imageGuidance: number;
}

const KNOWN = new Set([
  "alg_temp",
  "cfg_interval",
  "confidence_policy",
  "dynamic_temperature",
  "dynamic_temperature_samp",
  "edit_mode",
  "feedback_texts",
  "guidance_scale",
  "guidance_scale_image",
  "image_resolution",
  "min_temperature",
  "min_temperature_samp",
  "n_steps",
  "n_tokens",
  "plan",
  "prompt",
  "sample_policy",
  "schedule",
  "schedule_temp",
  "schedule_temp_samp",
  "shift",
  "temperature",
  "top_k",
  "top_p",
]);

/** A setting that means something which is not built, or undefined. */
export function unknownSetting(settings: Json): string | undefined {
  return Object.keys(settings).find((key) => !KNOWN.has(key));
}

/** Absent settings are those of the release's function (facts 6.1). */
export function loopSettings(settings: Json): LoopSettings {
  const value = <T>(key: string, otherwise: T) => (settings[key] ?? otherwise) as T;
  const stratified = value<string>("confidence_policy", "mmada") === "stratified";
  const argmax = value<string>("sample_policy", "multinomial") === "argmax";
  return {
    draw: {
      ...DRAW_DEFAULTS,
      prompt: value("prompt", ""),
      seed: 0,
      steps: value("n_steps", 20),
      guidance: value("guidance_scale", 5),
      guidanceInterval: value<[number, number] | null>("cfg_interval", null),
      schedule: value<ScheduleName>("schedule", "none"),
      shift: value("shift", 3),
      temperature: argmax ? 0 : value("temperature", 1),
      temperatureDecay: value("dynamic_temperature_samp", false)
        ? value<DecayName>("schedule_temp_samp", "linear")
        : "none",
      temperatureMinimum: value("min_temperature_samp", 1),
      order: stratified ? "stratified" : "confidence",
      confidencePolicy: value<string>("confidence_policy", "mmada") === "mask_git" ? "mask_git" : "mmada",
      confidenceTemperature: value("alg_temp", 1),
      confidenceDecay: value("dynamic_temperature", false)
        ? value<"linear" | "cosine2" | "shift">("schedule_temp", "linear")
        : "none",
      confidenceMinimum: value("min_temperature", 0.01),
      topK: value("top_k", 0),
      topP: value("top_p", 1),
    },
    positions: value("n_tokens", 4096),
    side: value("image_resolution", 1024),
    plan: value<string | undefined>("plan", undefined) ?? undefined,
    feedback: value<readonly string[]>("feedback_texts", []),
    editMode: value<EditMode>("edit_mode", 0),
    imageGuidance: value("guidance_scale_image", 5),
  };
}
