import { describe, expect, it } from "vitest";
import { cornersOf, EXPRESSION_KINDS } from "../../../bench/scenes/expressions.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld, type Thing } from "../../../bench/scenes/world.ts";
import { findCases } from "../../../commands/eval/find.ts";
import { teller } from "../../bench/scenes/truth.ts";
import { keyOf, oracle } from "./oracle.ts";

const world = await loadWorld();
const truth = teller(world);
const ONES = Object.fromEntries(EXPRESSION_KINDS.map((kind) => [kind, 1]));

type Numbers = readonly number[];
const boxOf = (thing: Thing | undefined): Numbers => thing === undefined ? [0, 0, 0, 0] : cornersOf(thing);

/** Whoever sees the scene, and points as `point` says: in a list, and alone. */
function pointer(n: number, seed: number, point: (truth: Numbers, alone: boolean) => Numbers | undefined) {
  const scenes = new Map(findCases(world, n, seed).map(({ scene }) => [keyOf("", render(world, scene)), scene]));
  return oracle(({ input, picture }) => {
    const scene = scenes.get(keyOf("", picture)), expressions = input["expressions"] as string[];
    if (scene === undefined) throw new Error("nobody rendered that");
    const boxes = expressions.flatMap((label) => {
      const xyxy = point(boxOf(truth.point(scene, label)), expressions.length === 1);
      if (xyxy === undefined) return [];
      return [xyxy.every((value) => value === 0) ? { label, found: false } : { label, found: true, xyxy, loc: xyxy }];
    });
    return { result: { text: "", boxes, textTokens: 4, promptTokens: 9, truncated: false } };
  });
}

describe("eval find", () => {
  it("gives full marks to whoever points at the truth, in a list and one by one", async () => {
    const { run, requests } = pointer(40, 2, (box) => box);
    const report = await run("find", "--n", "40", "--seed", "2");
    const full = { score: 1, interval: [1, 1], kinds: ONES, n: 40, at_80: { score: 1 }, held_out: { score: 1 } };
    expect(report).toMatchObject({ list: full, single: full, list_over_single: { gain: 0, gain_interval: [0, 0] } });
    // Two more come first, to load what is needed.
    const lists = requests.filter(({ input }) => (input["expressions"] as string[]).length > 1);
    expect(report["scenes"]).toBe(lists.length - 1);
    expect(requests).toHaveLength(Number(report["scenes"]) + 40 + 2);
    expect(report["speedup"]).toBeGreaterThan(0);
  });

  it("tells half-right boxes from right ones", async () => {
    const wide = ([x1 = 0, y1 = 0, x2 = 0, y2 = 0]: Numbers) =>
      x2 === 0 ? [0, 0, 0, 0] : [x1, y1, x2, y1 + 0.7 * (y2 - y1)];
    const { list } = await pointer(24, 2, wide).run("find", "--n", "24", "--seed", "2") as { list: unknown };
    expect(list).toMatchObject({ score: 1, at_80: { kinds: { name: 0, color: 0, relation: 0, absent: 1 } } });
  });

  it("gives nothing to whoever points beside it, at what is not there, or at nothing", async () => {
    const beside = ([x1 = 0, y1 = 0, x2 = 0, y2 = 0]: Numbers) =>
      x2 === 0 ? [32, 32, 96, 96] : [(x1 + 128) % 256, y1, (x1 + 128) % 256 + x2 - x1, y2];
    const { list, single } = await pointer(24, 2, beside).run("find", "--n", "24", "--seed", "2");
    expect([list, single]).toMatchObject([{ score: 0 }, { score: 0, interval: [0, 0] }]);
    const nothing = await pointer(24, 2, () => [0, 0, 0, 0]).run("find", "--n", "24", "--seed", "2");
    expect(nothing["list"]).toMatchObject({ kinds: { name: 0, color: 0, relation: 0, absent: 1 } });
    // A box that is not given is a miss, though nothing was said to be there.
    const silent = await pointer(24, 2, () => undefined).run("find", "--n", "24", "--seed", "2");
    expect(silent["list"]).toMatchObject({ score: 0 });
  });

  it("tells a list that is worse than one by one", async () => {
    const { run } = pointer(40, 2, (box, alone) => alone ? box : [1, 1, 2, 2]);
    expect(await run("find", "--n", "40", "--seed", "2")).toMatchObject({
      list: { score: 0 },
      single: { score: 1 },
      list_over_single: { gain: -1, gain_interval: [-1, -1] },
    });
  });
});
