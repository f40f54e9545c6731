/**
 * GenEval's prompt grammar, both ways: a record of its metadata to the prompt, and a prompt to the record.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import type { WorldData } from "./world.ts";

export const KINDS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"] as const;
export type Kind = (typeof KINDS)[number];

/** A class that a picture must show, `count` times at least. */
export interface Wanted {
  readonly class: string;
  readonly count: number;
  readonly color?: string;
  /** A relation, and the index of the entry of `include` that it refers to. */
  readonly position?: readonly [string, number];
}

/** One line of GenEval's metadata. */
export interface Metadata {
  readonly tag: Kind;
  readonly include: readonly Wanted[];
  /** Classes that must occur less than `count` times. */
  readonly exclude?: readonly { readonly class: string; readonly count: number }[];
  readonly prompt: string;
}

/** Count words, by count. */
const COUNTS: ReadonlyMap<number, string> = new Map([[2, "two"], [3, "three"], [4, "four"]]);

/** `a car`, `an apple`. */
export const article = (phrase: string) => `${/^[aeiou]/.test(phrase) ? "an" : "a"} ${phrase}`;
const single = ({ class: name, color }: Wanted) => article(color === undefined ? name : `${color} ${name}`);

/** The prompt of a record, `a photo of …`. */
export function promptOf(data: WorldData, { tag, include }: Pick<Metadata, "tag" | "include">): string {
  const [first, second] = include;
  if (first === undefined) throw new RangeError("a prompt names at least one object");
  if (tag === "counting") {
    const word = COUNTS.get(first.count), found = data.classes.find(({ name }) => name === first.class);
    if (word === undefined || found === undefined) throw new RangeError(`no words for ${first.count} ${first.class}`);
    return `a photo of ${word} ${found.plural}`;
  }
  if (second === undefined) return `a photo of ${single(first)}`;
  // GenEval lists the target first and says it last.
  if (second.position !== undefined) return `a photo of ${single(second)} ${second.position[0]} ${single(first)}`;
  return `a photo of ${single(first)} and ${single(second)}`;
}

/**
 * A prompt in GenEval's grammar as its record.
 *
 * @throws {UnmaskError} `prompt_not_understood`
 */
export function parsePrompt(data: WorldData, prompt: string): Metadata {
  const body = /^a photo of (.+)$/.exec(prompt)?.[1];
  const parsed = body === undefined ? undefined : parseBody(data, body);
  if (parsed === undefined) {
    throw new UnmaskError({
      code: "prompt_not_understood",
      message: `"${prompt}" is not in GenEval's grammar over the classes of scenes`,
      fix: 'write it like "a photo of a red car left of a dog", with classes, colours and counts of world.json',
      param: "prompt",
    });
  }
  return { ...parsed, prompt };
}

function parseBody(data: WorldData, body: string): Omit<Metadata, "prompt"> | undefined {
  for (const [count, word] of COUNTS) {
    const found = data.classes.find(({ plural }) => body === `${word} ${plural}`)?.name;
    if (found === undefined) continue;
    const exclude = [{ class: found, count: count + 1 }];
    return { tag: "counting", include: [{ class: found, count }], exclude };
  }
  const lone = parseObject(data, body);
  if (lone !== undefined) return { tag: lone.color === undefined ? "single_object" : "colors", include: [lone] };
  for (const link of ["and", ...data.relations]) {
    const at = body.indexOf(` ${link} `);
    if (at < 0) continue;
    const a = parseObject(data, body.slice(0, at)), b = parseObject(data, body.slice(at + link.length + 2));
    if (a === undefined || b === undefined) continue;
    if (link !== "and") return { tag: "position", include: [b, { ...a, position: [link, 0] }] };
    const colored = a.color !== undefined && b.color !== undefined;
    return { tag: colored ? "color_attr" : "two_object", include: [a, b] };
  }
  return undefined;
}

/** `a red car`, `an apple`. */
function parseObject(data: WorldData, phrase: string): Wanted | undefined {
  for (const { name } of data.classes) {
    if (phrase === article(name)) return { class: name, count: 1 };
    for (const { name: color } of data.colors) {
      if (phrase === article(`${color} ${name}`)) return { class: name, count: 1, color };
    }
  }
  return undefined;
}
