/**
 * Scenes of any things, beyond those that prompts of drawings describe: up to four, classes may repeat in other colours.
 * The distribution is that of training/world/tasks.py; the draws are not.
 *
 * @module
 */
import { type Combinations, createCombinations, type Split } from "./combinations.ts";
import { type Named, named, nameOf } from "./language.ts";
import { place } from "./layout.ts";
import { type Chooser, createChooser } from "./random.ts";
import type { Scene, Thing, World } from "./world.ts";

export interface Mixer extends Combinations {
  readonly choose: Chooser;
  /** In 35 of 100 the icon's own colours, else a tint that training showed. */
  kind(name: string): Named;
  /** Kinds of `count` things. Held out: two of the classes are a held-out pair, which needs two things. */
  kinds(count: number, split: Split): Named[];
  /** The kinds on free places of the grid, on a ground. */
  scene(kinds: readonly Named[], sizes?: readonly number[]): Scene;
}

export function createMixer(world: World, seed: number): Mixer {
  const { data } = world, choose = createChooser(seed), combinations = createCombinations(data, choose);
  const { pair, name, tint, other } = combinations;
  const kind = (of: string) => choose.below(100) < 35 ? named(data, of) : named(data, of, tint(of));
  return {
    ...combinations,
    choose,
    kind,
    kinds(count, split) {
      const names: string[] = [], kinds: Named[] = [];
      const add = (of: string) => {
        const next = kind(of);
        // The same thing twice is rarer than a class twice.
        if (kinds.some(({ cls, color }) => cls === next.cls && color === next.color) && choose.below(10) >= 3) return;
        names.push(of);
        kinds.push(next);
      };
      if (split === "held_out") pair(split).forEach(add);
      while (kinds.length < count) {
        if (names.length === 0) add(name());
        else add(choose.below(10) < 3 ? choose.pick(names) : other(names));
      }
      return kinds;
    },
    scene(kinds, sizes) {
      while (true) {
        const drawn = sizes ?? kinds.map(() => choose.below(100) < (kinds.length > 2 ? 75 : 50) ? 64 : 128);
        const boxes = place(world, choose, drawn);
        if (boxes === undefined) continue;
        const things = kinds.flatMap((kind, i): Thing[] => {
          const box = boxes[i];
          return box === undefined ? [] : [{ ...kind, ...box }];
        });
        return { ground: choose.below(data.grounds.length), things };
      }
    },
  };
}

/** Things whose class no other thing of the scene has: those that a bare name means. */
export function uniqueOf(things: readonly Thing[]): Thing[] {
  return things.filter(({ cls }) => things.filter((other) => other.cls === cls).length === 1);
}

export function namesOf({ data }: World, things: readonly Named[]): string[] {
  return [...new Set(things.map(({ cls }) => nameOf(data, cls)))];
}
