/**
 * The words of questions, expressions and edits: language.json, which training reads too, and the phrases that stand in
 * its places.
 *
 * @module
 */
import language from "./language.json" with { type: "json" };
import { centerOf, thirdOf } from "./layout.ts";
import { article } from "./prompt.ts";
import type { Box } from "./layout.ts";
import type { Thing, WorldData } from "./world.ts";

export const LANGUAGE = language;

export type Named = Pick<Thing, "cls" | "color">;

export function nameOf(data: WorldData, cls: number): string {
  const found = data.classes[cls];
  if (found === undefined) throw new RangeError(`no class ${cls}`);
  return found.name;
}

/** `red car`; without a colour word where the icon has its own colours. */
export function phraseOf(data: WorldData, { cls, color }: Named): string {
  return color === 0 ? nameOf(data, cls) : `${colorOf(data, color)} ${nameOf(data, cls)}`;
}

/** `a red car`. */
export function aThing(data: WorldData, thing: Named): string {
  return article(phraseOf(data, thing));
}

/** @param color 1.., a tint */
export function colorOf(data: WorldData, color: number): string {
  const found = data.colors[color - 1];
  if (found === undefined) throw new RangeError(`no tint ${color}`);
  return found.name;
}

/** The thing's number of a class and a tint, or of a class in its own colours. */
export function named(data: WorldData, name: string, color?: string): Named {
  const cls = data.classes.findIndex((candidate) => candidate.name === name);
  const tint = color === undefined ? 0 : 1 + data.colors.findIndex((candidate) => candidate.name === color);
  if (cls < 0 || (color !== undefined && tint === 0)) throw new RangeError(`no ${color ?? ""} ${name}`);
  return { cls, color: tint };
}

export function pluralOf(data: WorldData, cls: number): string {
  return data.classes[cls]?.plural ?? nameOf(data, cls);
}

export function countWord(count: number): string {
  const word = LANGUAGE.counts[count];
  if (word === undefined) throw new RangeError(`no word for ${count}`);
  return word;
}

/** Where a box's centre lies, in thirds of the canvas. */
export function placeOf({ canvas }: WorldData, box: Box): string {
  const [x, y] = centerOf(box);
  return LANGUAGE.places[3 * thirdOf(y, canvas) + thirdOf(x, canvas)] ?? "";
}

/** `three red dogs and a car`: from left to right, things of one class and colour together. */
export function describe(data: WorldData, things: readonly Thing[]): string {
  const order = [...things].sort((a, b) => {
    const [ax, ay] = centerOf(a), [bx, by] = centerOf(b);
    return ax - bx || ay - by;
  });
  const groups = Map.groupBy(order, ({ cls, color }) => `${cls}/${color}`);
  const parts = [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    if (group.length === 1) return [aThing(data, first)];
    const plural = pluralOf(data, first.cls);
    return [`${countWord(group.length)} ${first.color === 0 ? plural : `${colorOf(data, first.color)} ${plural}`}`];
  });
  const last = parts.pop() ?? "";
  return parts.length === 0 ? last : `${parts.join(", ")} and ${last}`;
}

/** A sentence of language.json with its places filled. @throws {RangeError} for a place that nothing fills */
export function fill(sentence: string, words: Readonly<Record<string, string>>): string {
  return sentence.replaceAll(/\{([^}]*)\}/g, (_, place: string) => {
    const word = words[place];
    if (word === undefined) throw new RangeError(`nothing stands for {${place}} in "${sentence}"`);
    return word;
  });
}
