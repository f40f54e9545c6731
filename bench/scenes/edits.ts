/**
 * Instructions over scenes (language.json's `edit`), each with a picture that follows it and with what every such picture
 * has in common.
 *
 * @module
 */
import type { Split } from "./combinations.ts";
import { type Draft, type Edited, editsOf, type SingleKind, type Slot, unchanged } from "./edit_changes.ts";
import { type Corners, cornersOf } from "./expressions.ts";
import { fill, LANGUAGE } from "./language.ts";
import { createMixer, type Mixer, namesOf } from "./mixed.ts";
import type { Scene, World } from "./world.ts";

export const EDIT_KINDS = ["add", "remove", "replace", "recolor", "move", "resize", "ground", "two"] as const;
export type EditKind = (typeof EDIT_KINDS)[number];

export interface EditCase {
  readonly kind: EditKind;
  readonly split: Split;
  readonly source: Scene;
  readonly instruction: string;
  /** One picture that follows the instruction. */
  readonly target: Scene;
  /** What each such picture shows: a thing for each of these and nothing else. */
  readonly wanted: readonly Pick<Slot, "fits" | "changed">[];
  /** Boxes that hold all that differs between source and target; null: the ground does. */
  readonly region: readonly Corners[] | null;
}

/** Two edits at once are two of these, on two things. */
const COMBINED = ["add", "remove", "replace", "recolor", "move", "resize"] as const;

/**
 * Edits from a seed. Classes of a source differ, so that a bare name means one thing. Held out: the source, or the thing
 * that is added or changed beside the others, needs a combination that training never showed.
 */
export function createEdits(world: World, seed: number): (kind: EditKind, split: Split) => EditCase {
  const mixer = createMixer(world, seed), edits = editsOf(world, mixer), { choose } = mixer;

  const edited = (source: Scene, kind: EditKind, split: Split): { draft: Draft; instruction: string } | undefined => {
    const begin: Draft = {
      ground: source.ground,
      names: namesOf(world, source.things),
      slots: source.things.map(unchanged),
    };
    const places = choose.shuffled([...source.things.keys()]);
    if (kind !== "two") return edits[kind](begin, places[0] ?? 0, split);
    const kinds = choose.shuffled(COMBINED);
    const first = edits[kinds[0] as SingleKind](begin, places[0] ?? 0, "seen");
    const second = first === undefined ? undefined : edits[kinds[1] as SingleKind](first.draft, places[1] ?? 1, "seen");
    if (first === undefined || second === undefined) return undefined;
    const words = { first: first.instruction, second: second.instruction };
    return { draft: second.draft, instruction: fill(choose.pick(LANGUAGE.edit.two), words) };
  };

  return (kind, split) => {
    while (true) {
      const source = mixer.scene(sourceOf(mixer, kind, split).map(mixer.kind));
      const found = edited(source, kind, split);
      if (found !== undefined) return caseOf({ kind, split, source }, found);
    }
  };
}

/** Names of its things, all different. */
function sourceOf({ choose, name, pair, other, tinted }: Mixer, kind: EditKind, split: Split): string[] {
  const most = kind === "remove" ? 4 : 3, least = kind === "remove" || kind === "two" ? 2 : 1;
  // Of what is added or changed the combination is new; of all else it is the source's own.
  const own = split === "held_out" && !["add", "replace", "recolor"].includes(kind);
  const count = Math.max(own ? 2 : least, least + choose.below(most - least + 1));
  const names = own ? [...pair(split)] : split === "held_out" && kind === "recolor" ? [tinted(split)[0]] : [name()];
  while (names.length < count) names.push(other(names));
  return names;
}

function caseOf(head: Pick<EditCase, "kind" | "split" | "source">, { draft, instruction }: Edited): EditCase {
  const { things, ground } = head.source, left = draft.slots.filter(({ gone }) => !gone);
  const changed = draft.slots.filter((slot) => slot.gone || slot.changed);
  const before = things.filter((_, i) => changed.includes(draft.slots[i] as Slot));
  const after = changed.filter(({ gone }) => !gone).map(({ thing }) => thing);
  return {
    ...head,
    instruction,
    target: { ground: draft.ground, things: left.map(({ thing }) => thing) },
    wanted: left,
    region: draft.ground === ground ? [...before, ...after].map(cornersOf) : null,
  };
}
