import { expect, test } from "vitest";
import { convertBenchOver } from "../../bench/convert.ts";
import { hashPicture, type JudgedPicture, pairUp } from "../../bench/lib/paired.ts";
import { createGenerator } from "../../bench/scenes/generate.ts";
import { KINDS, parsePrompt } from "../../bench/scenes/prompt.ts";
import { render } from "../../bench/scenes/render.ts";
import { loadWorld } from "../../bench/scenes/world.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";
import { collect } from "../commands/collect.ts";
import { double } from "../functions/double.ts";

/** 12 prompts of each kind with two seeds; `right` says which pictures are. */
function side(right: (prompt: number, seed: number) => boolean, hash = "a"): JudgedPicture[] {
  return KINDS.flatMap((tag, kind) =>
    Array.from({ length: 24 }, (_, i) => {
      const [prompt, seed] = [12 * kind + (i >> 1), i];
      const correct = right(prompt, seed);
      return { prompt, seed, tag, verdict: { correct, strict: false, reason: "" }, hash };
    })
  );
}

test("equal sides differ by nothing, and are sure of it", () => {
  const base = side((prompt) => prompt % 3 === 0);
  const { pictures, identical, score } = pairUp(base, side((prompt) => prompt % 3 === 0, "b"));
  expect([pictures, identical]).toEqual([24 * KINDS.length, 0]);
  expect(score).toMatchObject({ difference: 0, interval: [0, 0], only_base: 0, only_other: 0 });
  expect(pairUp(base, base).identical).toBe(pictures);
});

test("a loss is negative, its interval is that of pairs and not of sides", () => {
  // Half of the prompts are right; the other side loses every twelfth of all.
  const base = side((prompt) => prompt % 2 === 0);
  const { score } = pairUp(base, side((prompt) => prompt % 2 === 0 && prompt % 12 !== 0));
  expect(score.base).toBe(0.5);
  expect(score.difference).toBeCloseTo(-1 / 12, 10);
  expect(score).toMatchObject({ only_base: 2 * KINDS.length, only_other: 0 });
  const [low, high] = score.interval;
  expect(low).toBeLessThan(-1 / 12);
  expect(high).toBeGreaterThan(-1 / 12);
  expect(high).toBeLessThan(0);
  expect(high - low).toBeLessThan(0.15); // two independent shares of 72 prompts would be 0.3 apart
});

test("sides in another order, or of another length, are no pairs", () => {
  const base = side(() => true);
  expect(() => pairUp(base, base.toReversed())).toThrow("another prompt or seed");
  expect(() => pairUp(base, base.slice(1))).toThrow("pictures against");
});

test("a picture's hash is of its pixels and its shape", () => {
  const data = new Uint8Array(24).fill(7);
  const hash = hashPicture({ width: 4, height: 2, data });
  expect(hashPicture({ width: 4, height: 2, data: data.slice() })).toBe(hash);
  expect(hashPicture({ width: 2, height: 4, data })).not.toBe(hash);
  expect(hashPicture({ width: 4, height: 2, data: data.with(5, 8) })).not.toBe(hash);
});

test("the command converts, draws on three sides with the same seeds, says what holds, and fails for what does not", async () => {
  const world = await loadWorld();
  const asked = new Map<string, string[]>();
  const open = (choice: { modelFolder: string }): Promise<RemoteInference> => {
    const name = choice.modelFolder.split("/").at(-1) ?? "";
    const seen: string[] = [];
    asked.set(name, seen);
    const inference = double();
    return Promise.resolve({
      ...inference,
      async draw(input, options) {
        seen.push(`${input.prompt} ${input.seed}`);
        const drawn = await inference.draw(input, options);
        const scene = createGenerator(world, input.seed).scene(parsePrompt(world.data, input.prompt));
        // int4 loses every picture.
        return { ...drawn, picture: render(world, name === "int4" ? { ...scene, things: [] } : scene) };
      },
    });
  };
  const result = await collect(convertBenchOver(open), ["--n", "6", "--seeds", "2", "--seed", "3", "--json"]);
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("int4 cost more than they may (limits_missed)");
  const line = JSON.parse(result.stdout);
  expect(line).toMatchObject({
    prompts: 6,
    seeds: 2,
    fp32: { scores: { mean: 1, strict: 1, n: 12 } },
    sides: [
      { dtype: "fp16", pictures: 12, identical: 12, score: { difference: 0 }, holds: { size: true, score: true } },
      { dtype: "int4", pictures: 12, identical: 0, score: { difference: -1 }, holds: { size: true, score: false } },
    ],
  });
  for (const { bytes, share } of line.sides) expect(share).toBe(bytes / line.fp32.bytes);
  const [first = [], ...others] = [...asked.values()];
  expect([...asked.keys()]).toEqual(["scenes", "fp16", "int4"]);
  expect(new Set(first.map((job) => job.split(" ").at(-1))).size).toBe(12);
  for (const jobs of others) expect(jobs.toSorted()).toEqual(first.toSorted());
  expect(result.stderr).toContain("score   0.0000 against 1.0000: -1.0000 [-1.0000, -1.0000], 0 gained, 12 lost");
});

test("numbers of pictures that cannot be are refused before anything is converted", async () => {
  const never = () => Promise.reject(new Error("opened"));
  for (const [flag, code] of [["--seeds=0", "seeds_out_of_range"], ["--n=7", "n_not_in_shares"]] as const) {
    const { code: exit, stdout } = await collect(convertBenchOver(never), [flag, "--json"]);
    expect([exit, JSON.parse(stdout).error.code]).toEqual([2, code]);
  }
});
