/**
 * GenEval's rules over what the judge sees, and the strict score: exactly the named objects, whole, and nothing else.
 *
 * @module
 */
import type { Detection, Sight } from "./detect.ts";
import { type Kind, KINDS, type Metadata, type Wanted } from "./prompt.ts";
import { relations } from "./relations.ts";
import type { World } from "./world.ts";

export interface Verdict {
  /** GenEval's rules hold. */
  readonly correct: boolean;
  /** And there is nothing else in the picture, and no object has a flaw. */
  readonly strict: boolean;
  /** Empty when strict; else what is wrong first. */
  readonly reason: string;
}

/** What a strictly right picture may still have: unexplained blocks (4x4 px), and flawed area of an object. */
export const STRICT = { strayBlocks: 6, flaws: 0.13 } as const;

export function judgeSight(world: World, sight: Sight, metadata: Metadata): Verdict {
  const { data } = world;
  const nameOf = ({ cls }: Detection) => data.classes[cls]?.name ?? "";
  const colorOf = ({ color }: Detection) => color === 0 ? "its own colours" : data.colors[color - 1]?.name ?? "";
  // GenEval looks at the most confident ones first.
  const sorted = [...sight.detections].sort((a, b) => a.error - b.error);
  const all = (name: string) => sorted.filter((detection) => nameOf(detection) === name);

  const problems: string[] = [];
  const groups: (readonly Detection[] | undefined)[] = [];
  for (const wanted of metadata.include) {
    const found = all(wanted.class).slice(0, wanted.count);
    const problem = problemOf(wanted, found, groups, colorOf);
    groups.push(problem === undefined ? found : undefined);
    if (problem !== undefined) problems.push(problem);
  }
  for (const { class: name, count } of metadata.exclude ?? []) {
    const found = all(name).length;
    if (found >= count) problems.push(`expected ${name} < ${count}, found ${found}`);
  }
  const correct = problems.length === 0;

  const expected = metadata.include.reduce((sum, { count }) => sum + count, 0);
  if (sorted.length !== expected) problems.push(`expected ${expected} objects, found ${sorted.length}`);
  const flawed = sorted.find(({ flaws }) => flaws > STRICT.flaws);
  if (flawed !== undefined) problems.push(`${nameOf(flawed)} with flaws in ${Math.round(100 * flawed.flaws)} % of it`);
  if (sight.unexplained > STRICT.strayBlocks) problems.push(`${sight.unexplained * 16} px of fragments`);
  return { correct, strict: problems.length === 0, reason: problems[0] ?? "" };
}

/** GenEval's three questions about an entry of `include`: count, colour, position. */
function problemOf(
  { class: name, count, color, position }: Wanted,
  found: readonly Detection[],
  groups: readonly (readonly Detection[] | undefined)[],
  colorOf: (detection: Detection) => string,
): string | undefined {
  if (found.length < count) return `expected ${name} x ${count}, found ${found.length}`;
  if (color !== undefined && found.some((detection) => colorOf(detection) !== color)) {
    return `expected ${color} ${name}, found it in ${found.map(colorOf).join(", ")}`;
  }
  if (position === undefined) return undefined;
  const [relation, other] = position, targets = groups[other];
  if (targets === undefined) return `no target for ${name} to be ${relation}`;
  const holds = found.every((a) => targets.every((b) => relations(a, b).includes(relation)));
  return holds ? undefined : `${name} is not ${relation} the target`;
}

export interface Summary {
  /** Mean of the kinds that occur. */
  readonly mean: number;
  readonly kinds: Readonly<Partial<Record<Kind, number>>>;
  readonly strict: number;
  readonly strict_kinds: Readonly<Partial<Record<Kind, number>>>;
  readonly n: number;
}

export interface Judged {
  readonly tag: Kind;
  readonly verdict: Verdict;
}

/** Shares of right pictures by kind, and their means over kinds, as GenEval sums up. */
export function summarise(judged: readonly Judged[]): Summary {
  const sharesOf = (right: (verdict: Verdict) => boolean) =>
    Object.fromEntries(KINDS.flatMap((kind) => {
      const own = judged.filter(({ tag }) => tag === kind);
      return own.length === 0 ? [] : [[kind, own.filter(({ verdict }) => right(verdict)).length / own.length]];
    }));
  const mean = (shares: Record<string, number>) => {
    const values = Object.values(shares);
    return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  };
  const kinds = sharesOf(({ correct }) => correct), strictKinds = sharesOf(({ strict }) => strict);
  return { mean: mean(kinds), kinds, strict: mean(strictKinds), strict_kinds: strictKinds, n: judged.length };
}
