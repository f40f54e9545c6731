/**
 * Classes and colours to make scenes of, by whether training showed them together.
 *
 * @module
 */
import { type HeldOut, heldOut } from "./held_out.ts";
import type { Chooser } from "./random.ts";
import type { WorldData } from "./world.ts";

/** Combinations that training showed, or those that it never did. */
export type Split = "seen" | "held_out";

export const SPLITS: readonly Split[] = ["seen", "held_out"];

/** Names of classes and colours, as in world.json. */
export interface Combinations {
  readonly held: HeldOut;
  name(): string;
  /** Two classes in any order. */
  pair(split: Split): readonly [string, string];
  /** A tint that training showed on that class. */
  tint(name: string, not?: string): string;
  /** A class and a tint. */
  tinted(split: Split): readonly [name: string, color: string];
  /** A class that is none of `names` and makes a held-out pair with none of them. */
  other(names: readonly string[]): string;
  /** A class that makes a held-out pair with one of `names` and is none of them; undefined: there is none. */
  stranger(names: readonly string[]): string | undefined;
}

export function createCombinations(data: WorldData, choose: Chooser): Combinations {
  const held = heldOut(data),
    names = data.classes.map(({ name }) => name),
    colors = data.colors.map(({ name }) => name);
  const name = () => choose.pick(names);
  const tint = (of: string, not?: string) =>
    choose.pick(colors.filter((color) => color !== not && !held.isColor(of, color)));
  return {
    held,
    name,
    tint,
    pair(split) {
      if (split === "held_out") {
        const [a, b] = choose.pick(held.pairs);
        return choose.below(2) === 0 ? [a, b] : [b, a];
      }
      const a = name();
      return [a, choose.pick(names.filter((b) => b !== a && !held.isPair(a, b)))];
    },
    tinted(split) {
      if (split === "held_out") return choose.pick(held.colors);
      const of = name();
      return [of, tint(of)];
    },
    other: (taken) =>
      choose.pick(names.filter((own) => !taken.includes(own) && !taken.some((a) => held.isPair(a, own)))),
    stranger(taken) {
      const found = names.filter((own) => !taken.includes(own) && taken.some((a) => held.isPair(a, own)));
      return found.length === 0 ? undefined : choose.pick(found);
    },
  };
}
