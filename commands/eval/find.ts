/**
 * `eval find`: expressions to boxes, all of a scene in one forward and one by one.
 *
 * @module
 */
import { SPLITS } from "../../bench/scenes/combinations.ts";
import {
  createExpressions,
  type Expression,
  EXPRESSION_KINDS,
  type Found,
  isFound,
  MOST,
  type Sought,
} from "../../bench/scenes/expressions.ts";
import { render } from "../../bench/scenes/render.ts";
import { gainOf, type Outcome, sharesOf } from "../../bench/scenes/shares.ts";
import type { World } from "../../bench/scenes/world.ts";
import type { TextResult } from "../../core/tasks/all_tasks.ts";
import {
  type Bench,
  type Evaluation,
  fileOf,
  rounded,
  runOn,
  saveLines,
  savePicture,
  throughAll,
} from "./evaluation.ts";
import { countOf } from "./flags.ts";
import { printShares } from "./report.ts";

const EXPRESSIONS = 1000;

/** Overlaps at which a box counts as found. */
const AT = [0.5, 0.8] as const;

/** Scenes in turn of the splits until there are `n` expressions; the last scene's are cut there. */
export function findCases(world: World, n: number, seed: number): Sought[] {
  const next = createExpressions(world, seed), cases: Sought[] = [];
  for (let left = n, i = 0; left > 0; i++) {
    const sought = next(SPLITS[i % SPLITS.length] ?? "seen");
    const expressions = sought.expressions.slice(0, left);
    left -= expressions.length;
    cases.push({ ...sought, expressions });
  }
  return cases;
}

interface Mode {
  readonly found: readonly (Found | undefined)[];
  readonly forwards: number;
  readonly seconds: number;
}

export const findEvaluation: Evaluation = {
  takes: ["n", "seed", "out"],
  needs: () => ["ground"],
  check: (flags) => void countOf(flags, "n", EXPRESSIONS),
  async run(bench) {
    const { world, flags, output } = bench, seed = flags.seed ?? 0;
    const cases = findCases(world, countOf(flags, "n", EXPRESSIONS), seed);
    // Graphs are loaded by whoever needs them first, and seconds are compared.
    for (const { scene, expressions } of cases.slice(0, 1)) {
      await find(bench, await fileOf(render(world, scene)), [expressions, expressions.slice(0, 1)]);
    }
    // One at a time, for the same reason.
    const modes = await throughAll(bench, "finding", cases, async ({ scene, expressions }, index) => {
      const pixels = render(world, scene), picture = await fileOf(pixels);
      await savePicture(bench, index, "scene", pixels);
      const list = await find(bench, picture, [expressions]);
      return { list, single: await find(bench, picture, expressions.map((expression) => [expression])) };
    }, 1);

    const outcomes = (mode: "list" | "single", least: number) =>
      cases.flatMap(({ split, expressions }, group) =>
        expressions.map((expression, i): Outcome => {
          const found = modes[group]?.[mode].found[i];
          return {
            kind: expression.kind,
            split,
            group,
            right: found !== undefined && isFound(found, expression, least),
          };
        })
      );
    const reportOf = (mode: "list" | "single") => {
      const [half, tight] = AT.map((least) => sharesOf(outcomes(mode, least), EXPRESSION_KINDS));
      const sum = (of: (mode: Mode) => number) => modes.reduce((all, own) => all + of(own[mode]), 0);
      if (half === undefined || tight === undefined) throw new RangeError("there are two overlaps");
      printShares(output, `${mode} IoU .5`, half);
      printShares(output, `${mode} IoU .8`, tight);
      return {
        ...half,
        at_80: tight,
        forwards: sum((own) => own.forwards),
        seconds: rounded(sum((own) => own.seconds)),
      };
    };
    await saveLines(
      bench,
      "found.jsonl",
      cases.map(({ split, expressions }, i) => ({
        split,
        expressions: expressions.map((expression, j) => ({
          ...expression,
          list: modes[i]?.list.found[j],
          single: modes[i]?.single.found[j],
        })),
      })),
    );
    const [list, single] = [reportOf("list"), reportOf("single")];
    return {
      scenes: cases.length,
      seed,
      list,
      single,
      /** What a list scores over one by one. */
      list_over_single: gainOf(outcomes("single", 0.5), outcomes("list", 0.5), EXPRESSION_KINDS),
      /** How much faster it is for as many expressions as a scene may have; null: no scene has so many. */
      speedup: speedupOf(modes.filter((_, i) => cases[i]?.expressions.length === MOST)),
    };
  },
};

function speedupOf(modes: readonly { readonly list: Mode; readonly single: Mode }[]): number | null {
  const sum = (mode: "list" | "single") => modes.reduce((all, own) => all + own[mode].seconds, 0);
  return modes.length === 0 ? null : rounded(sum("single") / sum("list"));
}

/** Every group of expressions is one run. */
async function find(bench: Bench, picture: Uint8Array, groups: readonly (readonly Expression[])[]): Promise<Mode> {
  const found: (Found | undefined)[] = [];
  let forwards = 0, seconds = 0;
  for (const group of groups) {
    const expressions = group.map(({ text }) => text);
    const run = await runOn<TextResult>(bench, "ground", { picture, expressions });
    // A missing box is a miss, not another's.
    found.push(...expressions.map((_, i) => run.result.boxes?.[i]));
    forwards += run.forwards;
    seconds += run.seconds;
  }
  return { found, forwards, seconds };
}
