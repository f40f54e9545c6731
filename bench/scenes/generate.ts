/**
 * Prompts of the six kinds and scenes that show them, from a seed. The distribution is that of
 * training/world/scenes.py; the draws are not.
 *
 * @module
 */
import { createCombinations, type Split } from "./combinations.ts";
import { type Box, drawSizes, place } from "./layout.ts";
import { type Kind, type Metadata, promptOf, type Wanted } from "./prompt.ts";
import { type Chooser, createChooser } from "./random.ts";
import { relations } from "./relations.ts";
import type { Scene, Thing, World } from "./world.ts";

export interface Generator {
  readonly choose: Chooser;
  /** Single objects and counts have no held-out combinations: both splits draw them alike. */
  metadata(kind: Kind, split: Split): Metadata;
  /** A scene for which every judge should find the record right: exactly its objects, unnamed colours the icons' own. */
  scene(metadata: Pick<Metadata, "include">): Scene;
}

export function createGenerator(world: World, seed: number): Generator {
  const { data } = world, choose = createChooser(seed), { name, pair, tint, tinted } = createCombinations(data, choose);
  const colors = data.colors.map(({ name }) => name);

  const includeOf = (kind: Kind, split: Split): Wanted[] => {
    if (kind === "single_object") return [{ class: name(), count: 1 }];
    if (kind === "counting") return [{ class: name(), count: 2 + choose.below(3) }];
    if (kind === "colors") {
      const [own, color] = tinted(split);
      return [{ class: own, count: 1, color }];
    }
    const [a, b] = pair(split);
    if (kind === "two_object") return [{ class: a, count: 1 }, { class: b, count: 1 }];
    if (kind === "position") {
      return [{ class: b, count: 1 }, { class: a, count: 1, position: [choose.pick(data.relations), 0] }];
    }
    const color = tint(a);
    return [{ class: a, count: 1, color }, { class: b, count: 1, color: tint(b, color) }];
  };

  return {
    choose,
    metadata(kind, split) {
      const include = includeOf(kind, split);
      const prompt = promptOf(data, { tag: kind, include });
      const exclude = include.map(({ class: name, count }) => ({ class: name, count: count + 1 }));
      return kind === "counting" ? { tag: kind, include, exclude, prompt } : { tag: kind, include, prompt };
    },
    scene({ include }) {
      const number = (name: string) => data.classes.findIndex((candidate) => candidate.name === name);
      const color = (name?: string) => name === undefined ? 0 : 1 + colors.indexOf(name);
      const kinds = include.flatMap((wanted, entry) =>
        Array.from({ length: wanted.count }, () => ({ cls: number(wanted.class), color: color(wanted.color), entry }))
      );
      const counting = include.length === 1;
      while (true) {
        const boxes = place(world, choose, drawSizes(choose, kinds.length, counting));
        if (boxes === undefined) continue;
        const things = kinds.map(({ entry: _, ...kind }, i): Thing => ({ ...kind, ...boxes[i] as Box }));
        const holds = include.every(({ position }, entry) => {
          const at = (e: number) => things.filter((_, i) => kinds[i]?.entry === e);
          return position === undefined ||
            at(entry).every((a) => at(position[1]).every((b) => relations(a, b).includes(position[0])));
        });
        if (holds) return { ground: choose.below(data.grounds.length), things };
      }
    },
  };
}
