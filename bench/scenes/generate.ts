/**
 * Prompts of the six kinds and scenes that show them, from a seed. The distribution is that of
 * training/world/scenes.py; the draws are not.
 *
 * @module
 */
import { heldOut } from "./held_out.ts";
import { type Kind, type Metadata, promptOf, type Wanted } from "./prompt.ts";
import { type Chooser, createChooser } from "./random.ts";
import { relations } from "./relations.ts";
import type { Scene, Thing, World } from "./world.ts";

/** Combinations that training showed, or those that it never did. */
export type Split = "seen" | "held_out";

export interface Generator {
  readonly choose: Chooser;
  /** Single objects and counts have no held-out combinations: both splits draw them alike. */
  metadata(kind: Kind, split: Split): Metadata;
  /** A scene for which every judge should find the record right: exactly its objects, unnamed colours the icons' own. */
  scene(metadata: Pick<Metadata, "include">): Scene;
}

export function createGenerator(world: World, seed: number): Generator {
  const { data } = world, held = heldOut(data), choose = createChooser(seed);
  const names = data.classes.map(({ name }) => name), colors = data.colors.map(({ name }) => name);

  const pair = (split: Split): readonly [string, string] => {
    if (split === "held_out") {
      const [a, b] = choose.pick(held.pairs);
      return choose.below(2) === 0 ? [a, b] : [b, a];
    }
    const a = choose.pick(names);
    return [a, choose.pick(names.filter((b) => b !== a && !held.isPair(a, b)))];
  };
  const seenColor = (name: string, not?: string) =>
    choose.pick(colors.filter((color) => color !== not && !held.isColor(name, color)));

  const includeOf = (kind: Kind, split: Split): Wanted[] => {
    if (kind === "single_object") return [{ class: choose.pick(names), count: 1 }];
    if (kind === "counting") return [{ class: choose.pick(names), count: 2 + choose.below(3) }];
    if (kind === "colors") {
      const name = choose.pick(names);
      const [own, color] = split === "held_out" ? choose.pick(held.colors) : [name, seenColor(name)];
      return [{ class: own, count: 1, color }];
    }
    const [a, b] = pair(split);
    if (kind === "two_object") return [{ class: a, count: 1 }, { class: b, count: 1 }];
    if (kind === "position") {
      return [{ class: b, count: 1 }, { class: a, count: 1, position: [choose.pick(data.relations), 0] }];
    }
    const color = seenColor(a);
    return [{ class: a, count: 1, color }, { class: b, count: 1, color: seenColor(b, color) }];
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

type Box = Pick<Thing, "x" | "y" | "size">;

/** Three or more objects are small; objects that are counted are of one size. */
function drawSizes(choose: Chooser, count: number, equal: boolean): number[] {
  if (count > 2) return Array.from({ length: count }, () => 64);
  const draw = () => choose.below(100) < (equal ? 65 : 50) ? 64 : 128;
  const first = draw();
  return Array.from({ length: count }, (_, i) => i === 0 || equal ? first : draw());
}

/** Boxes of those sizes on the grid, beside `taken` and each other; undefined when a draw did not fit. */
export function place(
  world: World,
  choose: Chooser,
  sizes: readonly number[],
  taken: readonly Box[] = [],
): Box[] | undefined {
  const { canvas, grid } = world.data;
  const boxes = [...taken];
  for (const size of sizes) {
    const cells = (canvas - size) / grid + 1;
    let box: Box | undefined;
    for (let attempt = 0; attempt < 20 && box === undefined; attempt++) {
      const drawn = { size, x: choose.below(cells) * grid, y: choose.below(cells) * grid };
      if (!boxes.some((other) => overlap(drawn, other))) box = drawn;
    }
    if (box === undefined) return undefined;
    boxes.push(box);
  }
  return boxes.slice(taken.length);
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.size && b.x < a.x + a.size && a.y < b.y + b.size && b.y < a.y + a.size;
}
