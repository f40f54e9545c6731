import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createGenerator } from "../../../bench/scenes/generate.ts";
import { parsePrompt } from "../../../bench/scenes/prompt.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { oracle } from "./oracle.ts";

const world = await loadWorld();

let folder = "";
beforeEach(async () => void (folder = await Deno.makeTempDir()));
afterEach(() => Deno.remove(folder, { recursive: true }));

interface Round {
  /** From 1. */
  readonly round: number;
  readonly feedback: boolean;
  readonly seed: number;
}

/** Whoever draws rightly in the rounds that `right` names, and accepts what `accepts` says of it. */
function painter(right: (round: Round) => boolean, accepts: (isRight: boolean) => boolean) {
  return oracle(({ input }) => {
    const { prompt, seed, rounds = 4, feedback = true, judge = true } = input as {
      prompt: string;
      seed: number;
      rounds?: number;
      feedback?: boolean;
      judge?: boolean;
    };
    const scene = createGenerator(world, seed).scene(parsePrompt(world.data, prompt));
    const done: unknown[] = [];
    for (let round = 1; round <= rounds; round++) {
      const isRight = right({ round, feedback, seed }), accepted = judge ? accepts(isRight) : null;
      done.push({
        round,
        picture: render(world, isRight ? scene : { ...scene, things: [] }),
        accepted,
        verdict: accepted === null ? null : accepted ? "The image is correct." : "The dog is missing.",
        forwards: { plan: 10, draw: 64, judge: judge ? 6 : 0 },
      });
      if (accepted === true) break;
    }
    return { result: { rounds: done } };
  });
}

const six = ["--n", "6", "--seed", "5"];

describe("eval reflect", () => {
  it("tells the errors after 1, 2 and 4 rounds of five, and what they cost", async () => {
    const { run } = painter(({ round, feedback }) => feedback && round >= 3, (isRight) => isRight);
    const report = await run("reflect", ...six, "--rounds", "5");
    expect(report).toMatchObject({ strict: 1, rounds: 5, n: 6, split: "geneval" });
    const all = { removed: 1, gain: 1, gain_interval: [1, 1] }, none = { removed: 0, gain: 0, gain_interval: [0, 0] };
    expect(report["after"]).toMatchObject([
      { rounds: 1, strict_errors: 1, errors: 1, forwards: 80 },
      { rounds: 2, strict_errors: 1, forwards: 160, over_first: none, over_redraw: none, over_random: none },
      // Accepted in the third round: the fourth is not drawn.
      { rounds: 4, strict_errors: 0, strict_errors_interval: [0, 0], errors: 0, forwards: 240 },
      { rounds: 5, strict_errors: 0, forwards: 240, over_first: all, over_redraw: all, over_random: all },
    ]);
    expect(report["redraw"]).toMatchObject({ after: [{ forwards: 80 }, {}, {}, { strict_errors: 1, forwards: 400 }] });
    // Nothing was accepted, so the coin never is: another picture in each round.
    expect(report["random"]).toMatchObject({
      accepts: 0,
      after: [{}, {}, {}, { strict_errors: 1, forwards: 80 + 4 * 74 }],
    });
  });

  it("draws anew under a coin with other seeds, once where it accepts", async () => {
    const never = painter(() => false, () => false);
    await never.run("reflect", ...six, "--rounds", "4");
    const coins = never.requests.filter(({ input }) => input["judge"] === false).map(({ input }) => input["seed"]);
    expect(new Set(coins).size).toBe(6 * 3);
    expect(never.requests.filter(({ input }) => input["feedback"] === false)).toHaveLength(6);
    const always = painter(() => false, () => true);
    const report = await always.run("reflect", ...six, "--rounds", "4");
    expect(always.requests.filter(({ input }) => input["judge"] === false)).toEqual([]);
    expect(report).toMatchObject({ strict: 0, random: { accepts: 1 } });
    expect(report["after"]).toMatchObject([{}, { rounds: 2 }, { rounds: 4, over_first: { removed: 0, gain: 0 } }]);
  });

  it("gives a judge who knows full marks, one who lies nothing, and one who always accepts a half", async () => {
    const half = ({ seed }: Round) => seed % 2 === 0;
    const judge = async (accepts: (isRight: boolean) => boolean) =>
      (await painter(half, accepts).run("reflect", ...six, "--rounds", "1"))["judge"];
    expect(await judge((isRight) => isRight)).toMatchObject({
      balanced_accuracy: 1,
      interval: [1, 1],
      accepts_right: 1,
      refuses_wrong: 1,
      n: 6,
      wrong: 3,
      by_geneval: { balanced_accuracy: 1 },
    });
    expect(await judge((isRight) => !isRight)).toMatchObject({ balanced_accuracy: 0, interval: [0, 0] });
    expect(await judge(() => true)).toMatchObject({ balanced_accuracy: 0.5, accepts_right: 1, refuses_wrong: 0 });
    const blind = await painter(() => true, () => true).run("reflect", ...six, "--rounds", "1");
    expect(blind["judge"]).toMatchObject({ balanced_accuracy: null, interval: null, refuses_wrong: null, wrong: 0 });
  });

  it("draws without plans where that is asked, in all its ways", async () => {
    const plans = async (...args: string[]) => {
      const { run, requests } = painter(() => false, () => false);
      const report = await run("reflect", ...six, "--rounds", "2", ...args);
      const ways = requests.filter(({ task }) => task === "reflect").map(({ input }) => input["plan"]);
      expect(ways).toHaveLength(3 * 6);
      return [report["plan"], ...new Set(ways)];
    };
    expect(await plans("--plan", "none")).toEqual(["none", false]);
    expect(await plans("--plan", "own")).toEqual(["own", undefined]);
    expect(await plans()).toEqual(["own", undefined]);
  });

  it("keeps rounds and their pictures", async () => {
    const { run } = painter(({ round }) => round === 2, (isRight) => isRight);
    await run("reflect", ...six, "--rounds", "2", "--out", folder);
    const lines = (await Deno.readTextFile(`${folder}/rounds.jsonl`)).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    expect(lines).toHaveLength(6);
    expect(lines[0].rounds).toMatchObject([{ accepted: false, verdict: "The dog is missing." }, { accepted: true }]);
    for (const name of ["00000-round1.png", "00005-round2.png"]) {
      expect((await Deno.stat(`${folder}/${name}`)).isFile).toBe(true);
    }
  });

  it.each([
    [["--rounds", "0"], "rounds_out_of_range"],
    [["--n", "7"], "n_not_in_shares"],
    [["--seen"], "n_missing"],
    [["--plan", "true"], "plan_unknown"],
    [["--ways", "locked"], "flag_unused"],
  ])("refuses %j", async (args, code) => {
    const { run, requests } = painter(() => true, () => true);
    await expect(run("reflect", ...args)).rejects.toThrow(`"code":"${code}"`);
    expect(requests).toEqual([]);
  });
});
