/**
 * Expressions that mean one thing of a scene, or nothing in it, with the box that is meant (language.json's `find`).
 *
 * @module
 */
import type { Split } from "./combinations.ts";
import { named, nameOf, phraseOf } from "./language.ts";
import { createMixer, namesOf, uniqueOf } from "./mixed.ts";
import { relations } from "./relations.ts";
import type { Scene, Thing, World } from "./world.ts";

export const EXPRESSION_KINDS = ["name", "color", "relation", "absent"] as const;
export type ExpressionKind = (typeof EXPRESSION_KINDS)[number];

/** [left, top, right, bottom] in pixels. */
export type Corners = readonly [left: number, top: number, right: number, bottom: number];

export interface Expression {
  readonly kind: ExpressionKind;
  readonly text: string;
  /** Null: nothing in the scene is meant, which is to be said. */
  readonly box: Corners | null;
}

export interface Sought {
  readonly split: Split;
  readonly scene: Scene;
  /** Up to `MOST`, each once, kinds as even as the scene allows. */
  readonly expressions: readonly Expression[];
}

/** Expressions of one forward. */
export const MOST = 8;

export function cornersOf({ x, y, size }: Pick<Thing, "x" | "y" | "size">): Corners {
  return [x, y, x + size, y + size];
}

/** Of the areas; 0 where one of them is empty. */
export function iou(a: Corners, b: Corners): number {
  const area = ([left, top, right, bottom]: Corners) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const shared = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
  return shared === 0 ? 0 : shared / (area(a) + area(b) - shared);
}

/** An answer as the runtime gives it: a box in pixels, or that there is no such thing. */
export type Found = { readonly found: false } | { readonly found?: true; readonly xyxy: Corners };

export function isFound(found: Found, { box }: Pick<Expression, "box">, least: number): boolean {
  if (found.found === false) return box === null;
  return box !== null && iou(found.xyxy, box) >= least;
}

/**
 * Scenes with their expressions from a seed. Held out: the scene holds a pair, and expressions name a colour, or something
 * that is not there, that training never showed so.
 */
export function createExpressions(world: World, seed: number): (split: Split) => Sought {
  const { data } = world, mixer = createMixer(world, seed), { choose } = mixer;

  const sceneOf = (split: Split): Scene => {
    const count = 2 + choose.below(3);
    if (split === "seen") return mixer.scene(mixer.kinds(count, split));
    // One of the pair in a colour that training never showed on it, where there is one.
    const [lone, other] = choose.pick(mixer.held.pairs.flatMap(([a, b]) => [[a, b], [b, a]] as const));
    const tints = mixer.held.colors.filter(([name]) => name === lone).map(([, color]) => color);
    const first = tints.length === 0 ? mixer.kind(lone) : named(data, lone, choose.pick(tints));
    const kinds = [first, mixer.kind(other)], names = [lone, other];
    while (kinds.length < count) {
      const again = choose.below(10) < 3, name = again ? choose.pick(names) : mixer.other(names);
      names.push(name);
      kinds.push(mixer.kind(name));
    }
    return mixer.scene(kinds);
  };

  return (split) => {
    const scene = sceneOf(split), { things } = scene, names = namesOf(world, things);
    const isNew = split === "held_out";
    const all: Expression[] = things.flatMap((thing) => presentOf(world, things, thing));
    // A colour counts as held out by itself; of names and relations the pair is.
    const allowed = all.filter(({ kind, text }) =>
      kind !== "color" || !isNew || mixer.held.colors.some(([name, color]) => text === `the ${color} ${name}`)
    );
    for (let i = 0; i < MOST; i++) {
      const name = isNew ? mixer.stranger(names) : mixer.other(names);
      if (name !== undefined) allowed.push({ kind: "absent", text: `the ${name}`, box: null });
    }
    return { split, scene, expressions: choose.shuffled(evenly(choose.shuffled(allowed))) };
  };
}

/** What means this thing and no other. */
function presentOf({ data }: World, things: readonly Thing[], thing: Thing): Expression[] {
  const found: Expression[] = [], box = cornersOf(thing), name = nameOf(data, thing.cls);
  const unique = uniqueOf(things);
  if (unique.includes(thing)) found.push({ kind: "name", text: `the ${name}`, box });
  const alike = things.filter(({ cls, color }) => cls === thing.cls && color === thing.color);
  if (thing.color > 0 && alike.length === 1) {
    found.push({ kind: "color", text: `the ${phraseOf(data, thing)}`, box });
  }
  for (const other of unique.filter(({ cls }) => cls !== thing.cls)) {
    for (const relation of relations(thing, other)) {
      const same = things.filter((own) => own.cls === thing.cls && relations(own, other).includes(relation));
      const text = `the ${name} ${relation} the ${nameOf(data, other.cls)}`;
      if (same.length === 1) found.push({ kind: "relation", text, box });
    }
  }
  return found;
}

/** One of each kind in turn, none twice, up to `MOST`. */
function evenly(expressions: readonly Expression[]): Expression[] {
  const unique = [...new Map(expressions.map((expression) => [expression.text, expression])).values()];
  const pools = EXPRESSION_KINDS.map((kind) => unique.filter((expression) => expression.kind === kind));
  const chosen: Expression[] = [];
  while (chosen.length < MOST && pools.some((pool) => pool.length > 0)) {
    for (const pool of pools) {
      const next = chosen.length < MOST ? pool.pop() : undefined;
      if (next !== undefined) chosen.push(next);
    }
  }
  return chosen;
}
