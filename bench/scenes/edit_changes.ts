/**
 * The kinds of edits, each as a change to a scene that is being edited.
 *
 * @module
 */
import type { Split } from "./combinations.ts";
import { cornersOf, iou } from "./expressions.ts";
import { aThing, colorOf, fill, LANGUAGE, type Named, named, nameOf } from "./language.ts";
import { type Box, centerOf, freeBoxes, thirdOf } from "./layout.ts";
import type { Mixer } from "./mixed.ts";
import { relations } from "./relations.ts";
import type { Thing, World } from "./world.ts";

/** A thing of the source, in its place in the list, or behind those one that was added. */
export interface Slot {
  /** As one right picture shows it, or as it was before it went. */
  readonly thing: Thing;
  readonly gone: boolean;
  readonly changed: boolean;
  /** Whether what a picture shows is this thing as the instruction wants it. */
  readonly fits: (seen: Thing) => boolean;
}

export interface Draft {
  readonly ground: number;
  /** Of all classes that ever were in it: an instruction shall not name two things alike. */
  readonly names: readonly string[];
  readonly slots: readonly Slot[];
}

export interface Edited {
  readonly draft: Draft;
  readonly instruction: string;
}

export type SingleKind = "add" | "remove" | "replace" | "recolor" | "move" | "resize" | "ground";

/** On the thing of slot `at`; undefined where the scene does not allow it. */
export type Edit = (draft: Draft, at: number, split: Split) => Edited | undefined;

/** Which relation to its old place a thing has that moved to a side. */
const MOVED = { left: "left of", right: "right of", top: "above", bottom: "below" } as const;

/** How much of its old place a thing covers that replaces another. */
const IN_PLACE = 0.5;

const sameKind = (a: Named, b: Named) => a.cls === b.cls && a.color === b.color;

export function unchanged(thing: Thing): Slot {
  const fits = (seen: Thing) =>
    sameKind(seen, thing) && seen.size === thing.size && seen.x === thing.x && seen.y === thing.y;
  return { thing, gone: false, changed: false, fits };
}

export function editsOf(world: World, mixer: Mixer): Readonly<Record<SingleKind, Edit>> {
  const { data } = world, { choose, held } = mixer;
  const one = <T>(items: readonly T[]) => items.length === 0 ? undefined : choose.pick(items);
  const presentBut = ({ slots }: Draft, at?: number) =>
    slots.filter(({ gone }, i) => !gone && i !== at).map(({ thing }) => thing);
  const thingAt = ({ slots }: Draft, at: number): Thing => {
    const thing = slots[at]?.thing;
    if (thing === undefined) throw new RangeError(`no thing ${at}`);
    return thing;
  };
  const put = (draft: Draft, at: number, slot: Omit<Slot, "changed">): Draft => ({
    ...draft,
    slots: draft.slots.map((old, i) => i === at ? { ...slot, changed: true } : old),
  });
  const say = (kind: SingleKind, words: Readonly<Record<string, string>>, which?: number) => {
    const sentences = LANGUAGE.edit[kind];
    return fill(which === undefined ? choose.pick(sentences) : sentences[which] ?? "", words);
  };
  const name = ({ cls }: Named) => nameOf(data, cls);

  /** A thing of a class that the scene never had, beside those that stay. */
  const fresh = (draft: Draft, split: Split, stays: readonly Thing[]): Named | undefined => {
    const known = draft.names;
    if (split === "seen") return mixer.kind(mixer.other(known));
    if (choose.below(2) === 0) {
      const [own, color] = mixer.tinted(split);
      return known.includes(own) ? undefined : named(data, own, color);
    }
    const own = mixer.stranger(stays.map(name));
    return own === undefined || known.includes(own) ? undefined : mixer.kind(own);
  };

  return {
    add(draft, _, split) {
      const present = presentBut(draft), kind = fresh(draft, split, present);
      if (kind === undefined || present.length >= data.max_objects) return undefined;
      const size = present.length >= 2 ? 64 : choose.pick(data.sizes);
      const still = draft.slots.filter(({ gone, changed }) => !gone && !changed).map(({ thing }) => thing);
      const beside = choose.below(2) === 0 ? one(still) : undefined;
      const relation = choose.pick(data.relations);
      const stands = (box: Box) => beside === undefined || relations(box, beside).includes(relation);
      const box = one(freeBoxes(world, size, present).filter(stands));
      if (box === undefined) return undefined;
      const slot: Slot = {
        thing: { ...kind, ...box },
        gone: false,
        changed: true,
        fits: (seen) => sameKind(seen, kind) && stands(seen),
      };
      const words = { "a thing": aThing(data, kind) };
      return {
        draft: { ...draft, slots: [...draft.slots, slot], names: [...draft.names, name(kind)] },
        instruction: beside === undefined
          ? say("add", words, 0)
          : say("add", { ...words, relation, name: name(beside) }, 1),
      };
    },
    remove(draft, at) {
      const thing = thingAt(draft, at);
      return {
        draft: put(draft, at, { thing, gone: true, fits: () => false }),
        instruction: say("remove", { name: name(thing) }),
      };
    },
    replace(draft, at, split) {
      const old = thingAt(draft, at), kind = fresh(draft, split, presentBut(draft, at));
      if (kind === undefined) return undefined;
      const fits = (seen: Thing) => sameKind(seen, kind) && iou(cornersOf(seen), cornersOf(old)) >= IN_PLACE;
      return {
        draft: {
          ...put(draft, at, { thing: { ...old, ...kind }, gone: false, fits }),
          names: [...draft.names, name(kind)],
        },
        instruction: say("replace", { name: name(old), "a thing": aThing(data, kind) }),
      };
    },
    recolor(draft, at, split) {
      const old = thingAt(draft, at), own = name(old);
      const tints = data.colors.map(({ name }) => name)
        .filter((tint) => held.isColor(own, tint) === (split === "held_out"))
        .map((tint) => named(data, own, tint)).filter(({ color }) => color !== old.color);
      const kind = one(tints);
      if (kind === undefined) return undefined;
      return {
        draft: put(draft, at, { ...unchanged({ ...old, ...kind }) }),
        instruction: say("recolor", { name: own, color: colorOf(data, kind.color) }),
      };
    },
    move(draft, at) {
      const old = thingAt(draft, at), side = choose.pick(["left", "right", "top", "bottom"] as const);
      const there = (box: Box) => {
        const [x, y] = centerOf(box);
        const third = thirdOf(side === "left" || side === "right" ? x : y, data.canvas);
        return third === (side === "left" || side === "top" ? 0 : 2) && relations(box, old).includes(MOVED[side]);
      };
      const box = one(freeBoxes(world, old.size, presentBut(draft, at)).filter(there));
      if (box === undefined) return undefined;
      const fits = (seen: Thing) => sameKind(seen, old) && seen.size === old.size && there(seen);
      return {
        draft: put(draft, at, { thing: { ...old, ...box }, gone: false, fits }),
        instruction: say("move", { name: name(old), side }),
      };
    },
    resize(draft, at) {
      const old = thingAt(draft, at), larger = old.size === 64, size = larger ? 128 : 64;
      const within = (box: Box) => {
        const [small, large] = larger ? [old, box] : [box, old];
        const [x, y] = centerOf(small);
        return x > large.x && x < large.x + large.size && y > large.y && y < large.y + large.size;
      };
      const box = one(freeBoxes(world, size, presentBut(draft, at)).filter(within));
      if (box === undefined) return undefined;
      const fits = (seen: Thing) => sameKind(seen, old) && seen.size === size && within(seen);
      return {
        draft: put(draft, at, { thing: { ...old, ...box }, gone: false, fits }),
        instruction: say("resize", { name: name(old), size: larger ? "larger" : "smaller" }),
      };
    },
    ground(draft) {
      const ground = choose.pick([...data.grounds.keys()].filter((other) => other !== draft.ground));
      return { draft: { ...draft, ground }, instruction: say("ground", { ground: data.grounds[ground]?.name ?? "" }) };
    },
  };
}
