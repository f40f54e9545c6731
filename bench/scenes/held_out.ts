/**
 * What no training data ever shows: the class pairs of GenEval's two-object, position and attribution prompts, and the
 * class-colours of its colours prompts (world.json's `held_out`).
 *
 * @module
 */
import type { Metadata } from "./prompt.ts";
import type { WorldData } from "./world.ts";

export interface HeldOut {
  readonly pairs: readonly (readonly [string, string])[];
  readonly colors: readonly (readonly [string, string])[];
  isPair(a: string, b: string): boolean;
  isColor(className: string, color: string): boolean;
  /** Whether a record's prompt needs a combination that was never trained on. */
  needs(metadata: Pick<Metadata, "include">): boolean;
}

/** The held-out combinations among classes that the world has. */
export function heldOut(data: WorldData): HeldOut {
  const known = new Set(data.classes.map(({ name }) => name));
  const pairs = data.held_out.class_pairs.filter(([a, b]) => known.has(a) && known.has(b));
  const colors = data.held_out.class_colors.filter(([name]) => known.has(name));
  const key = (a: string, b: string) => `${a}/${b}`;
  const pairSet = new Set(pairs.flatMap(([a, b]) => [key(a, b), key(b, a)]));
  const colorSet = new Set(colors.map(([name, color]) => key(name, color)));
  const isPair = (a: string, b: string) => pairSet.has(key(a, b));
  const isColor = (name: string, color: string) => colorSet.has(key(name, color));
  const needs = ({ include }: Pick<Metadata, "include">) =>
    include.some((a, i) =>
      (a.color !== undefined && isColor(a.class, a.color)) ||
      include.slice(i + 1).some((b) => isPair(a.class, b.class))
    );
  return { pairs, colors, isPair, isColor, needs };
}
