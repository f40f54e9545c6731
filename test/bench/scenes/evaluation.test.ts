import { describe, expect, it } from "vitest";
import { heldOut } from "../../../bench/scenes/held_out.ts";
import { type Drawn, interval } from "../../../bench/scenes/interval.ts";
import { KINDS, type Metadata } from "../../../bench/scenes/prompt.ts";
import { choosePrompts } from "../../../bench/scenes/prompts.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";

const world = await loadWorld();
const tags = (prompts: readonly Metadata[]) => KINDS.map((kind) => prompts.filter(({ tag }) => tag === kind).length);

describe("the prompts of an evaluation", () => {
  it("are all of GenEval's whose classes the world has", async () => {
    const prompts = await choosePrompts(world, { seed: 0, seen: false });
    expect(tags(prompts)).toEqual([40, 31, 40, 52, 27, 41]);
  });

  it("are chosen by the seed in equal shares, none twice before each was there", async () => {
    const choose = (seed: number) => choosePrompts(world, { seed, n: 60, seen: false });
    const prompts = await choose(1);
    expect(tags(prompts)).toEqual([10, 10, 10, 10, 10, 10]);
    expect(new Set(prompts.map(({ prompt }) => prompt)).size).toBe(60);
    expect(await choose(1)).toEqual(prompts);
    expect(await choose(2)).not.toEqual(prompts);
  });

  it("come again when there are fewer than asked for", async () => {
    const prompts = (await choosePrompts(world, { seed: 1, n: 6 * 54, seen: false }))
      .filter(({ tag }) => tag === "position").map(({ prompt }) => prompt);
    const times = [...new Set(prompts)].map((prompt) => prompts.filter((other) => other === prompt).length);
    expect([prompts.length, times.length, ...new Set(times)]).toEqual([54, 27, 2]);
  });

  it("are of seen combinations when asked", async () => {
    const prompts = await choosePrompts(world, { seed: 1, n: 120, seen: true });
    expect(tags(prompts)).toEqual([20, 20, 20, 20, 20, 20]);
    expect(prompts.filter(heldOut(world.data).needs)).toEqual([]);
  });

  it.each([[7, false, "n_not_in_shares"], [0, false, "n_not_in_shares"], [undefined, true, "n_missing"]] as const)(
    "refuse %s (seen: %s)",
    async (n, seen, code) => {
      const choice = { seed: 0, seen, ...(n === undefined ? {} : { n }) };
      await expect(choosePrompts(world, choice)).rejects.toMatchObject({ code });
    },
  );
});

describe("the interval", () => {
  /** `prompts` colours prompts of `pictures` each, of which every `nth` prompt is right. */
  const drawn = (prompts: number, pictures: number, nth: number): Drawn[] =>
    Array.from({ length: prompts * pictures }, (_, i) => {
      const prompt = Math.floor(i / pictures), right = prompt % nth === 0;
      return { tag: "colors", prompt, verdict: { correct: right, strict: false, reason: "" } };
    });
  const correct = (all: readonly Drawn[]) => interval(all, (verdict) => verdict.correct);

  it("is that of a binomial share", () => {
    const [low, high] = correct(drawn(400, 1, 2));
    // 0.5 ± 1.96 · 0.5 / 20
    expect(low).toBeCloseTo(0.451, 2);
    expect(high).toBeCloseTo(0.549, 2);
  });

  it("does not shrink when pictures of one prompt agree", () => {
    const [low, high] = correct(drawn(100, 1, 2)), [lowMany, highMany] = correct(drawn(100, 8, 2));
    expect(Math.abs(high - low - (highMany - lowMany))).toBeLessThan(0.02);
    expect(highMany - lowMany).toBeGreaterThan(0.15);
  });

  it("is that of the mean over kinds", () => {
    const other = drawn(20, 1, 21).map((result, i) => ({ ...result, tag: "counting" as const, prompt: 100 + i }));
    // All colours prompts are right, and of the counting ones 1 in 20.
    const [low, high] = correct([...drawn(100, 1, 1), ...other]);
    expect(low).toBe(0.5);
    expect(high).toBeGreaterThan(0.53);
    expect(high).toBeLessThan(0.6);
  });

  it("is that of the verdict that is asked for", () => {
    expect(interval(drawn(20, 1, 1), ({ strict }) => strict)).toEqual([0, 0]);
    expect(correct(drawn(20, 1, 1))).toEqual([1, 1]);
  });
});
