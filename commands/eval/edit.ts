/**
 * `eval edit`: instructions over scenes, judged on pixels; ways of editing compared on the same cases and seeds.
 *
 * @module
 */
import { judgeEdit } from "../../bench/scenes/edit_score.ts";
import { createEdits, EDIT_KINDS, type EditCase } from "../../bench/scenes/edits.ts";
import { render } from "../../bench/scenes/render.ts";
import { gainOf, type Outcome, sharesOf } from "../../bench/scenes/shares.ts";
import type { World } from "../../bench/scenes/world.ts";
import { UnmaskError } from "../../core/errors.ts";
import type { PictureResult } from "../../core/tasks/all_tasks.ts";
import type { EditState } from "../../core/tasks/edit.ts";
import { casesInTurn } from "./answer.ts";
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
import { countOf, type EvalFlags } from "./flags.ts";
import { ownPlan, type ReadPlan } from "./own_plan.ts";
import { printShares } from "./report.ts";

const INSTRUCTIONS = 500;

/** The first one of those that are asked for is what the others are compared with. */
export const WAYS = ["three_way", "two_way", "planned", "locked"] as const;
export type Way = (typeof WAYS)[number];

interface Edited {
  readonly right: boolean;
  readonly asked: boolean;
  readonly kept: boolean;
  readonly reason: string;
  readonly forwards: number;
  /** Share of the positions outside the region that hold the source's tokens; undefined: no region. */
  readonly outside?: number;
  readonly planless?: boolean;
}

export function editCases(world: World, n: number, seed: number): EditCase[] {
  return casesInTurn(EDIT_KINDS, n, createEdits(world, seed));
}

/** @throws {UnmaskError} `ways_unknown` */
function waysOf({ ways = WAYS.join() }: EvalFlags): readonly Way[] {
  const asked = ways.split(",").map((name) => WAYS.find((way) => way === name.trim()));
  const known = asked.filter((way) => way !== undefined);
  if (known.length === asked.length && new Set(known).size === known.length) return known;
  throw new UnmaskError({
    code: "ways_unknown",
    message: "there is no such way of editing to compare, or one is named twice",
    fix: `name some of ${WAYS.join()}, separated by commas`,
    param: "ways",
  });
}

function isPlanned(way: Way): boolean {
  return way === "planned" || way === "locked";
}

export const editEvaluation: Evaluation = {
  takes: ["n", "seed", "ways", "steps", "guidance", "temperature", "out"],
  needs: (flags) => waysOf(flags).some(isPlanned) ? ["edit", "plan"] : ["edit"],
  check(flags) {
    countOf(flags, "n", INSTRUCTIONS);
    waysOf(flags);
  },
  async run(bench) {
    const { world, flags, output } = bench, seed = flags.seed ?? 0, ways = waysOf(flags);
    const cases = editCases(world, countOf(flags, "n", INSTRUCTIONS), seed);
    const done = await throughAll(bench, "editing", cases, async (edit, index) => {
      const pixels = render(world, edit.source), picture = await fileOf(pixels);
      await savePicture(bench, index, "source", pixels);
      const asked = { instruction: edit.instruction, picture };
      const plan = ways.some(isPlanned) ? await ownPlan(bench, { ...asked, seed: seed + index }) : undefined;
      const results: Partial<Record<Way, Edited>> = {};
      for (const way of ways) {
        results[way] = await editOne(bench, edit, index, { ...asked, seed: seed + index }, way, plan);
      }
      return results;
    });
    const outcomes = (way: Way) =>
      cases.map(({ kind, split }, group): Outcome => ({
        kind,
        split,
        group,
        right: done[group]?.[way]?.right ?? false,
      }));
    const [base, ...others] = ways.map((way) => {
      const own = done.flatMap((results) => results[way] ?? []);
      return { way, ...reportOf(own), shares: sharesOf(outcomes(way), EDIT_KINDS) };
    });
    if (base === undefined) throw new RangeError("there is no way of editing");
    for (const { way, shares } of [base, ...others]) printShares(output, way, shares);
    await saveLines(
      bench,
      "edits.jsonl",
      cases.map(({ kind, split, instruction }, i) => ({ kind, split, instruction, ...done[i] })),
    );
    const { way, shares, ...told } = base;
    return {
      way,
      ...shares,
      ...told,
      seed,
      // Both have a plan: what is left between them is the lock.
      ...(ways.includes("planned") && ways.includes("locked")
        ? { locked_over_planned: gainOf(outcomes("planned"), outcomes("locked"), EDIT_KINDS) }
        : {}),
      ways: Object.fromEntries(
        others.map(({ way: other, shares: own, ...told }) => [
          other,
          { ...own, ...told, ...gainOf(outcomes(way), outcomes(other), EDIT_KINDS) },
        ]),
      ),
    };
  },
};

async function editOne(
  bench: Bench,
  edit: EditCase,
  index: number,
  asked: { readonly instruction: string; readonly picture: Uint8Array; readonly seed: number },
  way: Way,
  plan: ReadPlan | undefined,
): Promise<Edited> {
  const { steps, guidance, temperature } = bench.flags;
  const given = Object.entries({ steps, guidance, temperature }).filter(([, value]) => value !== undefined);
  const planned = isPlanned(way);
  const { result, state, forwards } = await runOn<PictureResult, EditState>(bench, "edit", {
    ...asked,
    ...Object.fromEntries(given),
    ...(way === "two_way" ? { imageGuidance: 0 } : {}),
    ...(planned && plan?.readable === true ? plan.fields : {}),
    ...(way === "locked" && plan?.readable === true ? { lock: "plan" } : {}),
  });
  const { success, ...verdict } = judgeEdit(bench.world, bench.judgeOf().see, result.picture, edit);
  await savePicture(bench, index, way, result.picture);
  const outside = keptOutside(state);
  return {
    right: success,
    ...verdict,
    forwards: forwards + (planned ? plan?.forwards ?? 0 : 0),
    ...(outside === undefined ? {} : { outside }),
    ...(planned ? { planless: plan?.readable !== true } : {}),
  };
}

function keptOutside({ region, source, draw }: EditState): number | undefined {
  if (region === null || source === null) return undefined;
  const inside = new Set(region), outside = [...source.keys()].filter((position) => !inside.has(position));
  if (outside.length === 0) return 1;
  return outside.filter((position) => draw.sequence.ids[position] === source[position]).length / outside.length;
}

function reportOf(results: readonly Edited[]) {
  const share = (of: (own: Edited) => boolean) => rounded(results.filter(of).length / Math.max(1, results.length));
  const outside = results.flatMap((own) => own.outside ?? []);
  return {
    /** The change is there; nothing else changed: both are a success. */
    asked: share(({ asked }) => asked),
    kept: share(({ kept }) => kept),
    forwards: rounded(results.reduce((sum, own) => sum + own.forwards, 0) / Math.max(1, results.length)),
    /** Plans that could not be read: these edits went without. */
    ...(results.some(({ planless }) => planless !== undefined)
      ? { planless: share((own) => own.planless === true) }
      : {}),
    /** The least share, over all edits with a region, of tokens outside that are the source's. */
    ...(outside.length === 0 ? {} : { outside: Math.min(...outside), regions: outside.length }),
  };
}
