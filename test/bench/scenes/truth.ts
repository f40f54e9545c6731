/**
 * Whoever knows the scene tells the truth about it: answers and boxes read off a scene by the words of a question alone,
 * written apart from the generators so that each checks the other.
 */
import { relations } from "../../../bench/scenes/relations.ts";
import type { Scene, Thing, World } from "../../../bench/scenes/world.ts";

const COUNTS = ["zero", "one", "two", "three", "four"];

function article(words: string): string {
  return `${"aeiou".includes(words[0] ?? "") ? "an" : "a"} ${words}`;
}

export interface Teller {
  answer(scene: Scene, question: string): string;
  /** The thing that is meant, or undefined. @throws if it might be either of two */
  point(scene: Scene, expression: string): Thing | undefined;
}

export function teller({ data }: World): Teller {
  const name = ({ cls }: Thing) => data.classes[cls]?.name ?? "?";
  const color = ({ color }: Thing) => color === 0 ? "" : data.colors[color - 1]?.name ?? "?";
  const words = (thing: Thing) => `${color(thing)} ${name(thing)}`.trim();
  const center = ({ x, y, size }: Thing) => [x + size / 2, y + size / 2] as const;
  const only = (things: readonly Thing[], what: string): Thing => {
    const [first, second] = things;
    if (first === undefined || second !== undefined) throw new Error(`${things.length} of ${what}`);
    return first;
  };
  const third = (at: number) => at < data.canvas / 3 ? "low" : at > 2 * data.canvas / 3 ? "high" : "";

  function answer({ things }: Scene, question: string): string {
    const match = (pattern: RegExp) => pattern.exec(question)?.slice(1) ?? [];
    const named = (what: string) => only(things.filter((thing) => name(thing) === what), what);
    const [tinted] = match(/^(?:What|Which) color is the (.+)\?$/);
    if (tinted !== undefined) return color(named(tinted));
    const [plural] = match(/^How many (.+) are there\?$/);
    if (plural !== undefined) {
      return COUNTS[things.filter(({ cls }) => data.classes[cls]?.plural === plural).length] ?? "?";
    }
    const [relation, other] = match(/^Which object is (left of|right of|above|below) the (.+)\?$/);
    if (relation !== undefined && other !== undefined) {
      const from = named(other), rest = only(things.filter((thing) => thing !== from), "others");
      return relations(rest, from).includes(relation) ? `the ${name(rest)}` : "none";
    }
    const [where] = match(/^Where is the (.+)\?$/);
    if (where !== undefined) {
      const [x, y] = center(named(where));
      const [across, down] = [
        { low: "left", high: "right", "": "" }[third(x)],
        {
          low: "top",
          high: "bottom",
          "": "",
        }[third(y)],
      ];
      return `${down} ${across}`.trim() || "center";
    }
    const [there] = match(/^Is there an? (.+) in the image\?$/);
    if (there !== undefined) return things.some((thing) => [name(thing), words(thing)].includes(there)) ? "yes" : "no";
    if (/^What (is this|does the image show)\?$/.test(question)) return article(words(only(things, "things")));
    if (!/[Dd]escribe (the picture|this image)\.$/.test(question)) throw new Error(`what is ${question}`);
    const seen: { readonly thing: Thing; n: number }[] = [];
    for (const thing of things.toSorted((a, b) => center(a)[0] - center(b)[0] || center(a)[1] - center(b)[1])) {
      const same = seen.find(({ thing: { cls, color } }) => cls === thing.cls && color === thing.color);
      if (same === undefined) seen.push({ thing, n: 1 });
      else same.n++;
    }
    const said = seen.map(({ thing, n }) =>
      n === 1
        ? article(words(thing))
        : `${COUNTS[n]} ${`${color(thing)} ${data.classes[thing.cls]?.plural ?? "?"}`.trim()}`
    );
    return new Intl.ListFormat("en", { type: "conjunction" }).format(said).replace(", and", " and");
  }

  function point({ things }: Scene, expression: string): Thing | undefined {
    const [, what = "", relation, other] =
      /^the (.+?)(?: (left of|right of|above|below) the (.+))?$/.exec(expression) ??
        [];
    const meant = things.filter((thing) => [name(thing), words(thing)].includes(what));
    const standing = relation === undefined ? meant : meant.filter((thing) => {
      const from = only(things.filter((own) => name(own) === other), other ?? "");
      return relations(thing, from).includes(relation);
    });
    return standing.length === 0 ? undefined : only(standing, expression);
  }
  return { answer, point };
}
