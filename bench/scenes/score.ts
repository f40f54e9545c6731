/**
 * GenEval's rules over what the judge sees, and the strict score: exactly the named objects and nothing else.
 *
 * @module
 */
import type { Detection, Sight } from "./detect.ts";
import { relations } from "./relations.ts";
import type { World } from "./world.ts";

export const KINDS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"] as const;
export type Kind = (typeof KINDS)[number];

/** One line of GenEval's metadata. */
export interface Metadata {
  readonly tag: Kind;
  readonly include: readonly {
    readonly class: string;
    readonly count: number;
    readonly color?: string;
    readonly position?: readonly [string, number];
  }[];
  readonly exclude?: readonly { readonly class: string; readonly count: number }[];
  readonly prompt: string;
}

export interface Verdict {
  readonly correct: boolean;
  readonly strict: boolean;
  /** Empty when strict; else what is wrong first. */
  readonly reason: string;
}

/** Foreground blocks (4x4 px) that a strictly right picture may leave unexplained. */
const STRAY_BLOCKS = 6;

export function judgeSight(world: World, sight: Sight, metadata: Metadata): Verdict {
  const { data } = world;
  const named = (detection: Detection) => data.classes[detection.cls]?.name ?? "";
  const colorOf = (detection: Detection) =>
    detection.color === 0 ? "own" : data.colors[detection.color - 1]?.name ?? "";
  const problems: string[] = [];
  const matched: Detection[][] = [];
  for (const wanted of metadata.include) {
    let found = sight.detections.filter((detection) => named(detection) === wanted.class);
    if (found.length < wanted.count) problems.push(`expected ${wanted.class} x ${wanted.count}, found ${found.length}`);
    if (wanted.color !== undefined) {
      const right = found.filter((detection) => colorOf(detection) === wanted.color);
      if (found.length >= wanted.count && right.length < wanted.count) {
        const seen = found.map(colorOf).join(", ");
        problems.push(`expected ${wanted.color} ${wanted.class} x ${wanted.count}, found ${seen}`);
      }
      found = right;
    }
    if (wanted.position !== undefined) {
      const [relation, other] = wanted.position;
      const targets = matched[other] ?? [];
      const holds = found.some((a) => targets.some((b) => relations(a, b).includes(relation)));
      if (found.length > 0 && targets.length > 0 && !holds) problems.push(`${wanted.class} is not ${relation} target`);
      if (found.length > 0 && targets.length === 0) problems.push(`no target for ${wanted.class} to be ${relation}`);
    }
    matched.push(found);
  }
  for (const banned of metadata.exclude ?? []) {
    const count = sight.detections.filter((detection) => named(detection) === banned.class).length;
    if (count >= banned.count) problems.push(`expected ${banned.class} < ${banned.count}, found ${count}`);
  }
  const correct = problems.length === 0;
  const expected = metadata.include.reduce((sum, wanted) => sum + wanted.count, 0);
  if (sight.detections.length !== expected) {
    problems.push(`expected ${expected} objects, found ${sight.detections.length}`);
  }
  if (sight.unexplained > STRAY_BLOCKS) problems.push(`${sight.unexplained * 16} px of fragments`);
  return { correct, strict: problems.length === 0, reason: problems[0] ?? "" };
}

export interface Summary {
  /** Mean of the kinds that occur. */
  readonly mean: number;
  readonly strict: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly strictKinds: Readonly<Record<string, number>>;
  readonly n: number;
}

/** Shares of right pictures by kind, and their means over kinds. */
export function summarise(verdicts: readonly { readonly tag: string; readonly verdict: Verdict }[]): Summary {
  const kinds: Record<string, number> = {}, strictKinds: Record<string, number> = {};
  for (const kind of KINDS) {
    const own = verdicts.filter(({ tag }) => tag === kind);
    if (own.length === 0) continue;
    kinds[kind] = own.filter(({ verdict }) => verdict.correct).length / own.length;
    strictKinds[kind] = own.filter(({ verdict }) => verdict.strict).length / own.length;
  }
  const mean = (shares: Record<string, number>) => {
    const values = Object.values(shares);
    return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return { mean: mean(kinds), strict: mean(strictKinds), kinds, strictKinds, n: verdicts.length };
}
