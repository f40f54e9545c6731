import { describe, expect, it } from "vitest";
import { createGenerator } from "../../../bench/scenes/generate.ts";
import { heldOut } from "../../../bench/scenes/held_out.ts";
import { type PlannedThing, planOf } from "../../../bench/scenes/plans.ts";
import { KINDS, parsePrompt } from "../../../bench/scenes/prompt.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { planCases } from "../../../commands/eval/plan.ts";
import { oracle } from "./oracle.ts";

const world = await loadWorld();
const ONES = Object.fromEntries(KINDS.map((kind) => [kind, 1]));

/** Whoever plans a true scene of the prompt, changed by `change`. */
function planner(change: (boxes: PlannedThing[]) => PlannedThing[], malformed: readonly string[] = []) {
  return oracle(({ input }) => {
    const metadata = parsePrompt(world.data, String(input["prompt"]));
    const scene = createGenerator(world, Number(input["seed"])).scene(metadata);
    return { result: { text: "a plan", boxes: change(planOf(world, metadata, scene)), malformed } };
  });
}

describe("eval plan", () => {
  it("gives full marks to true plans, GenEval's prompts apart from seen ones", async () => {
    const { run, requests } = planner((boxes) => boxes);
    const report = await run("plan", "--n", "12", "--seed", "3");
    expect(report).toMatchObject({ score: 1, interval: [1, 1], kinds: ONES, readable: 1, n: 24 });
    expect(report).toMatchObject({ seen: { score: 1, n: 12 }, held_out: { score: 1, n: 12 } });
    expect(requests.every(({ task }) => task === "plan")).toBe(true);
    expect(new Set(requests.map(({ input }) => input["seed"])).size).toBe(24);
  });

  it("gives nothing to whoever leaves a thing out, or says what is no plan", async () => {
    const short = await planner((boxes) => boxes.slice(1)).run("plan", "--n", "6", "--seed", "3");
    expect(short).toMatchObject({ score: 0, interval: [0, 0] });
    const odd = await planner((boxes) => boxes, ["<box_p>"]).run("plan", "--n", "6", "--seed", "3");
    expect(odd).toMatchObject({ score: 0, readable: 0 });
  });

  it("asks for all of GenEval's prompts where nobody says how many", async () => {
    const cases = await planCases(world, { n: undefined, seed: undefined });
    const held = cases.filter(({ split }) => split === "held_out"), { needs } = heldOut(world.data);
    expect([held.length, cases.length - held.length]).toEqual([231, 228]);
    expect(cases.filter(({ split, metadata }) => split === "seen" && needs(metadata))).toEqual([]);
  });

  it("refuses shares that are unequal", async () => {
    await expect(planner((boxes) => boxes).run("plan", "--n", "7")).rejects.toThrow(`"code":"n_not_in_shares"`);
  });
});
