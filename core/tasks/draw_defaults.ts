/**
 * What a draw uses when nobody says. A model folder may override any of it (generation_file.ts).
 *
 * @module
 */
import type { z } from "zod";
import type { drawChoice, DrawOptions } from "./draw_input.ts";

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

/** The options that are given, over defaults for the others. */
export function choose(defaults: DrawDefaults, options: DrawOptions): DrawDefaults {
  const present = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(present) };
}
