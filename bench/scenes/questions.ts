/**
 * Questions about scenes with their true answers (language.json's `answer`), and how an answer is scored.
 *
 * @module
 */
import type { Split } from "./combinations.ts";
import {
  aThing,
  colorOf,
  countWord,
  describe,
  fill,
  LANGUAGE,
  type Named,
  named,
  nameOf,
  placeOf,
  pluralOf,
} from "./language.ts";
import { createMixer, namesOf, uniqueOf } from "./mixed.ts";
import { relations } from "./relations.ts";
import type { Scene, World } from "./world.ts";

export const QUESTION_KINDS = ["what", "color", "count", "where", "is_there", "which", "describe"] as const;
export type QuestionKind = (typeof QUESTION_KINDS)[number];

export interface Question {
  readonly kind: QuestionKind;
  readonly split: Split;
  readonly scene: Scene;
  readonly text: string;
  readonly answer: string;
}

/** Exact but for white space around it and one full stop behind it. */
export function isRight(answer: string, { answer: truth }: Pick<Question, "answer">): boolean {
  return answer.trim().replace(/\.$/, "") === truth;
}

/** What a question is about: words for its places, and its answer. */
interface Asked {
  readonly scene: Scene;
  readonly words: Readonly<Record<string, string>>;
  readonly answer: string;
}

/**
 * Questions from a seed. Held out: the scene needs, or the question asks for, a class and colour or two classes that
 * training never showed together.
 */
export function createQuestions(world: World, seed: number): (kind: QuestionKind, split: Split) => Question {
  const { data } = world, mixer = createMixer(world, seed), { choose, kind: kindOf, kinds, scene, tinted } = mixer;

  /** Until it holds something that can be asked. */
  const sceneWith = <T>(make: () => Scene, find: (scene: Scene) => T | undefined): { scene: Scene; found: T } => {
    while (true) {
      const made = make(), found = find(made);
      if (found !== undefined) return { scene: made, found };
    }
  };
  const any = (split: Split) => scene(kinds(split === "seen" ? 1 + choose.below(4) : 2 + choose.below(3), split));
  const one = <T>(items: readonly T[]) => items.length === 0 ? undefined : choose.pick(items);
  /** With up to three others that go with it. */
  const about = (thing: Named) => {
    const names = [nameOf(data, thing.cls)], all = [thing];
    for (let more = choose.below(4); more > 0; more--) {
      names.push(mixer.other(names));
      all.push(kindOf(names.at(-1) ?? ""));
    }
    return scene(choose.shuffled(all));
  };

  const is = (split: Split): Asked => {
    const { yes, no } = LANGUAGE.answer.is_there, wanted = choose.below(2) === 0, tint = choose.below(2) === 0;
    const asked = (shown: Scene, thing: Named, answer: string): Asked => ({
      scene: shown,
      words: { "a thing": aThing(data, thing) },
      answer,
    });
    if (tint && split === "held_out") {
      const [name, color] = tinted(split), thing = named(data, name, color);
      if (wanted) return asked(about(thing), thing, yes);
      // In another colour, or something else altogether.
      return asked(about(choose.below(2) === 0 ? kindOf(name) : kindOf(mixer.other([name]))), thing, no);
    }
    if (wanted) {
      const { scene: shown, found } = sceneWith(
        () => any(split),
        ({ things }) => one(things.filter(({ color }) => !tint || color > 0)),
      );
      return asked(shown, tint ? found : { ...found, color: 0 }, yes);
    }
    if (split === "held_out") {
      const { scene: shown, found } = sceneWith(
        () => any("seen"),
        ({ things }) => mixer.stranger(namesOf(world, things)),
      );
      return asked(shown, named(data, found), no);
    }
    const shown = any(split), thing = choose.pick(shown.things);
    const name = tint && choose.below(10) < 7 ? nameOf(data, thing.cls) : mixer.other(namesOf(world, shown.things));
    const other = named(data, name, tint ? mixer.tint(name) : undefined);
    const there = shown.things.some(({ cls, color }) => cls === other.cls && color === other.color);
    return there ? is(split) : asked(shown, other, no);
  };

  const makers: Readonly<Record<QuestionKind, (split: Split) => Asked>> = {
    what(split) {
      const thing = split === "held_out" ? named(data, ...tinted(split)) : kindOf(mixer.name());
      return { scene: scene([thing]), words: {}, answer: aThing(data, thing) };
    },
    color(split) {
      const thing = named(data, ...tinted(split));
      return {
        scene: about(thing),
        words: { name: nameOf(data, thing.cls) },
        answer: colorOf(data, thing.color),
      };
    },
    count(split) {
      const names = [...mixer.pair(split)], [name = "", other = ""] = names;
      const count = choose.below(split === "seen" ? 5 : 4);
      // Of the others at least one, where the pair is what is held out or nothing else is there.
      const least = count === 0 || split === "held_out" ? 1 : 0;
      const more = Math.min(4 - count, least + choose.below(2));
      const same = kindOf(name), alike = choose.below(2) === 0;
      const counted = Array.from({ length: count }, () => alike ? same : kindOf(name));
      const shown = scene(choose.shuffled([...counted, ...Array.from({ length: more }, () => kindOf(other))]));
      return { scene: shown, words: { plural: pluralOf(data, same.cls) }, answer: countWord(count) };
    },
    where(split) {
      const { scene: shown, found } = sceneWith(() => any(split), ({ things }) => one(uniqueOf(things)));
      return { scene: shown, words: { name: nameOf(data, found.cls) }, answer: placeOf(data, found) };
    },
    is_there: is,
    which(split) {
      const shown = scene(mixer.pair(split).map(kindOf)), [thing, other] = shown.things;
      if (thing === undefined || other === undefined) throw new RangeError("two things are needed");
      const holding = relations(other, thing), holds = choose.below(2) === 0;
      const relation = choose.pick(data.relations.filter((name) => holding.includes(name) === holds));
      return {
        scene: shown,
        words: { relation, name: nameOf(data, thing.cls) },
        answer: holds ? `the ${nameOf(data, other.cls)}` : LANGUAGE.answer.which.none,
      };
    },
    describe(split) {
      const lone = split === "held_out" && choose.below(4) === 0;
      const shown = lone ? scene([named(data, ...tinted(split))]) : any(split);
      return { scene: shown, words: {}, answer: describe(data, shown.things) };
    },
  };
  return (kind, split) => {
    const { scene, words, answer } = makers[kind](split);
    return { kind, split, scene, text: fill(choose.pick(LANGUAGE.answer[kind].asks), words), answer };
  };
}
