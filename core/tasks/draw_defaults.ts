/**
 * What a draw uses when nobody says. A model folder may override any of it in the `generation` block of its
 * `generation.json`, since the best steps and guidance are facts about weights.
 *
 * @module
 */
import type { z } from "zod";
import { UnmaskError } from "../errors.ts";
import { type drawChoice, type DrawOptions, drawOptions } from "./draw_input.ts";

export type DrawDefaults = Readonly<z.infer<typeof drawChoice>>;

/** For scenes; the tables behind them are in bench/. */
export const DRAW_DEFAULTS: DrawDefaults = {
  steps: 32,
  guidance: 0.5,
  guidanceInterval: null,
  temperature: 1,
  temperatureDecay: "none",
  temperatureMinimum: 0.5,
  order: "stratified",
  confidencePolicy: "mmada",
  confidenceTemperature: 1,
  confidenceDecay: "none",
  confidenceMinimum: 0.5,
  schedule: "shift",
  shift: 5,
  topK: 0,
  topP: 1,
  micro: null,
};

/**
 * @param json the parsed `generation.json`, with or without such a block
 * @throws {UnmaskError} `generation_invalid` (500)
 */
export function parseDrawDefaults(json: unknown): DrawDefaults {
  const file = typeof json === "object" && json !== null;
  if (file && !("generation" in json)) return DRAW_DEFAULTS;
  const block: unknown = file ? Reflect.get(json, "generation") : undefined;
  const parsed = drawOptions.safeParse(block);
  if (parsed.success) return choose(DRAW_DEFAULTS, parsed.data);
  const issue = parsed.error.issues[0];
  throw new UnmaskError({
    code: "generation_invalid",
    message: `generation.json: generation.${issue?.path.join(".") ?? ""}: ${issue?.message}`,
    fix: "use the options of a draw, or remove the file",
    status: 500,
  });
}

/** The options that are given, over defaults for the others. */
export function choose(defaults: DrawDefaults, options: DrawOptions): DrawDefaults {
  const present = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(present) };
}
