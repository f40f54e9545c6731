import { describe, expect, it } from "vitest";
import { createGenerator } from "../../../bench/scenes/generate.ts";
import { judgePlan, planOf } from "../../../bench/scenes/plans.ts";
import { parsePrompt } from "../../../bench/scenes/prompt.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld, type Scene } from "../../../bench/scenes/world.ts";
import type { DrawInput } from "../../../core/tasks/draw_input.ts";
import type { RemoteInference } from "../../../core/tasks/remote.ts";
import { double } from "../../functions/double.ts";
import { oracle } from "./oracle.ts";

const world = await loadWorld();

/** Whoever draws what is asked for only if `knows` says so; plans are true, unless `lost` says that they are no plans. */
function artist(knows: (input: DrawInput) => boolean, lost: (prompt: string) => boolean = () => false) {
  const drawn: DrawInput[] = [], base = double();
  const sceneOf = (prompt: string, seed: number): Scene =>
    createGenerator(world, seed).scene(parsePrompt(world.data, prompt));
  const own: Partial<RemoteInference> = {
    async draw(input, options) {
      drawn.push(input);
      const { plan: _, ...bare } = input;
      const scene = sceneOf(input.prompt, input.seed);
      const picture = render(world, knows(input) ? scene : { ...scene, things: [] });
      return { ...await base.draw(bare, options), picture };
    },
  };
  const { run, requests } = oracle(({ input }) => {
    const prompt = String(input["prompt"]), metadata = parsePrompt(world.data, prompt);
    const boxes = lost(prompt) ? [] : planOf(world, metadata, sceneOf(prompt, Number(input["seed"])));
    return { result: { text: "", boxes, malformed: [] } };
  }, own);
  return { run, requests, drawn };
}

describe("eval t2i --plan", () => {
  it.each(["own", "true"])(
    "%s: pairs of the same prompt and seed, and the errors that a plan removes",
    async (plan) => {
      const { run, drawn, requests } = artist((input) => input.plan !== undefined);
      const report = await run("t2i", "--n", "6", "--seed", "5", "--seeds", "2", "--plan", plan, "--steps", "4");
      expect(report).toMatchObject({
        strict: 0,
        planned: {
          plan,
          strict: 1,
          strict_errors: { base: 1, own: 0 },
          removed: 1,
          gain: 1,
          gain_interval: [1, 1],
          readable: 1,
          n: 12,
        },
      });
      const key = ({ prompt, seed, steps }: DrawInput) => `${prompt} ${seed} ${steps}`;
      const [without, after] = [drawn.filter((own) => own.plan === undefined), drawn.filter((own) => own.plan)];
      expect(after.map(key).sort()).toEqual(without.map(key).sort());
      for (const { prompt, plan: boxes } of after) {
        if (!Array.isArray(boxes)) throw new Error("plans are boxes");
        expect(judgePlan(world, { boxes, malformed: [] }, parsePrompt(world.data, prompt)).valid).toBe(true);
      }
      expect(requests).toHaveLength(plan === "own" ? 12 : 0);
    },
  );

  it("counts a picture without plan where the own plan cannot be read", async () => {
    const { run, drawn } = artist((input) => input.plan !== undefined, () => true);
    expect(await run("t2i", "--n", "6", "--plan", "own")).toMatchObject({
      planned: { strict: 0, removed: 0, gain: 0, gain_interval: [0, 0], readable: 0 },
    });
    expect(drawn).toHaveLength(6);
  });

  it("tells a plan that does harm, and that there was nothing to remove", async () => {
    const { run } = artist((input) => input.plan === undefined);
    expect(await run("t2i", "--n", "6", "--plan", "true")).toMatchObject({
      strict: 1,
      planned: { strict: 0, removed: null, gain: -1, gain_interval: [-1, -1] },
    });
  });

  it("is nothing without the flag, and refuses another", async () => {
    expect(await artist(() => true).run("t2i", "--n", "6")).not.toHaveProperty("planned");
    await expect(artist(() => true).run("t2i", "--n", "6", "--plan", "good")).rejects.toThrow(`"code":"plan_unknown"`);
  });
});
