import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createGenerator } from "../../bench/scenes/generate.ts";
import { createJudge } from "../../bench/scenes/judge.ts";
import { KINDS, parsePrompt } from "../../bench/scenes/prompt.ts";
import { render } from "../../bench/scenes/render.ts";
import { loadWorld } from "../../bench/scenes/world.ts";
import { evalCommand } from "../../commands/eval.ts";
import { decodePicture } from "../../core/image/codec.ts";
import type { DrawInput } from "../../core/tasks/draw_input.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";
import { double } from "../functions/double.ts";
import { collect } from "./collect.ts";

const world = await loadWorld();
const judge = createJudge(world);
const EVEN = { single_object: 1, two_object: 1, counting: 1, colors: 1, position: 1, color_attr: 1 };

let folder = "";
beforeEach(async () => void (folder = await Deno.makeTempDir()));
afterEach(() => Deno.remove(folder, { recursive: true }));

/** An inference that draws what it is asked for, or for some prompts an empty picture. */
function artist(fails: (input: DrawInput) => boolean = () => false) {
  const inference = double(), requests = inference.seen.requests;
  const remote: RemoteInference = {
    ...inference,
    async draw(input, options) {
      const drawn = await inference.draw(input, options);
      const scene = createGenerator(world, input.seed).scene(parsePrompt(world.data, input.prompt));
      return { ...drawn, picture: render(world, fails(input) ? { ...scene, things: [] } : scene) };
    },
  };
  const run = (...args: string[]) =>
    collect(evalCommand(() => Promise.resolve(remote), () => judge), [...args, "--json"]);
  return { requests, run };
}

describe("eval t2i", () => {
  it("gives a perfect artist full marks, in one line of JSON", async () => {
    const { run } = artist();
    const { code, stdout, stderr } = await run("t2i", "--n", "12", "--seed", "5", "--steps", "8");
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({
      mean: 1,
      kinds: EVEN,
      strict: 1,
      strict_kinds: EVEN,
      interval: [1, 1],
      strict_interval: [1, 1],
      n: 12,
      prompts: 12,
      seed: 5,
      seeds: 1,
      split: "geneval",
      steps: 8,
      guidance: 0.5,
      order: "stratified",
      model: "scenes",
      provider: "cpu",
    });
    expect(stderr).toMatch(/mean\s+1\.000\s+1\.000\s+\(12 pictures\)/);
  });

  it("weighs kinds equally", async () => {
    const { run } = artist(({ prompt }) => parsePrompt(world.data, prompt).tag === "counting");
    const { mean, kinds, interval } = JSON.parse((await run("t2i", "--n", "12")).stdout);
    expect(kinds).toEqual({ ...EVEN, counting: 0 });
    expect(mean).toBeCloseTo(5 / 6, 9);
    expect(interval[0]).toBeCloseTo(5 / 6, 9);
  });

  it("draws every prompt with its own seed, and the options that were given", async () => {
    const { run, requests } = artist();
    await run("t2i", "--n=6", "--seed=40", "--seeds=2", "--order=halton", "--guidance=2", "--steps=4");
    expect(requests.map(({ seed }) => seed).sort()).toEqual([...Array(12).keys()].map((i) => 40 + i));
    expect(new Set(requests.map(({ prompt }) => prompt)).size).toBe(6);
    expect(requests[0]).toMatchObject({ order: "halton", guidance: 2, steps: 4 });
  });

  it("draws the same prompts for the same seed, others for another", async () => {
    const prompts = async (seed: string) => {
      const { run, requests } = artist();
      await run("t2i", "--n", "12", "--seed", seed);
      return requests.map(({ prompt }) => prompt).sort();
    };
    expect(await prompts("1")).toEqual(await prompts("1"));
    expect(await prompts("1")).not.toEqual(await prompts("2"));
  });

  it("leaves GenEval's folder layout behind for another judge", async () => {
    const { run } = artist();
    await run("t2i", "--n", "6", "--seeds", "2", "--out", `${folder}/out`);
    const lines = (await Deno.readTextFile(`${folder}/out/metadata.jsonl`)).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).tag)).toEqual([...KINDS]);
    for (const [i, line] of lines.entries()) {
      const own = `${folder}/out/${String(i).padStart(5, "0")}`;
      expect((await Deno.readTextFile(`${own}/metadata.jsonl`)).trim()).toBe(line);
      for (const name of ["0000.png", "0001.png"]) {
        const picture = await decodePicture(await Deno.readFile(`${own}/samples/${name}`));
        expect([picture.width, picture.height]).toEqual([256, 256]);
      }
    }
  });

  it.each([
    ["no task", [], "task_unknown"],
    ["another task", ["sing"], "task_unknown"],
    ["unequal shares", ["t2i", "--n", "7"], "n_not_in_shares"],
    ["seen prompts without end", ["t2i", "--seen"], "n_missing"],
    ["no pictures", ["t2i", "--seeds", "0"], "seeds_out_of_range"],
    ["an unknown order", ["t2i", "--n", "6", "--order", "spiral"], "order_unknown"],
  ])("refuses %s", async (_, args, code) => {
    const { run } = artist();
    const result = await run(...args);
    expect(result.code).toBe(2);
    expect(JSON.parse(result.stdout).error.code).toBe(code);
  });
});
