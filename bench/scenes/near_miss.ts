/**
 * Scenes that miss their prompt by one thing: what a judge must not let pass.
 *
 * @module
 */
import type { Generator } from "./generate.ts";
import { place } from "./layout.ts";
import type { Metadata } from "./prompt.ts";
import { relations } from "./relations.ts";
import type { Scene, World } from "./world.ts";

export const FAULTS = ["class", "color", "count", "relation"] as const;
export type Fault = (typeof FAULTS)[number];

/** Faults that a record can have: a colour can be wrong only where one is named. */
export function faultsOf({ include }: Pick<Metadata, "include">): Fault[] {
  return FAULTS.filter((fault) =>
    (fault !== "color" || include.some(({ color }) => color !== undefined)) &&
    (fault !== "relation" || include.some(({ position }) => position !== undefined))
  );
}

/** A scene of the record with one fault: one object of another class or colour, one too many or too few, or moved. */
export function nearMiss(world: World, generator: Generator, metadata: Metadata, fault: Fault): Scene {
  const { data } = world, { choose } = generator;
  const scene = generator.scene(metadata);
  const at = choose.below(scene.things.length), thing = scene.things[at];
  if (thing === undefined) throw new RangeError("a scene without objects has no near miss");
  const changed = (change: Partial<typeof thing>): Scene => ({
    ...scene,
    things: scene.things.map((other, i) => i === at ? { ...other, ...change } : other),
  });
  switch (fault) {
    case "class": {
      const named = new Set(metadata.include.map((wanted) => wanted.class));
      return changed({
        cls: choose.pick([...data.classes.keys()].filter((c) => !named.has(data.classes[c]?.name ?? ""))),
      });
    }
    case "color":
      return changed({
        color: choose.pick([...data.colors.keys()].map((c) => c + 1).filter((c) => c !== thing.color)),
      });
    case "count": {
      // Of two like objects GenEval places the more confident one, so a second one beside a relation proves nothing.
      const related = metadata.include.some(({ position }) => position !== undefined);
      const [box] = !related && choose.below(2) === 0 ? place(world, choose, [64], scene.things) ?? [] : [];
      if (box === undefined) return { ...scene, things: scene.things.filter((_, i) => i !== at) };
      return { ...scene, things: [...scene.things, { ...thing, ...box }] };
    }
    case "relation": {
      const relation = metadata.include[1]?.position?.[0] ?? "";
      const bare = { include: metadata.include.map(({ class: name, count }) => ({ class: name, count })) };
      while (true) {
        const moved = generator.scene(bare);
        const [target, subject] = moved.things;
        if (target !== undefined && subject !== undefined && !relations(subject, target).includes(relation)) {
          return moved;
        }
      }
    }
  }
}
