import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { oracle, type Request, type Told } from "./oracle.ts";

const world = await loadWorld();
const blank = render(world, { ground: 0, things: [] });

let folder = "";
beforeEach(async () => void (folder = await Deno.makeTempDir()));
afterEach(() => Deno.remove(folder, { recursive: true }));

/** Whoever knows nothing of anything. */
function ignorant({ task, picture }: Request): Told {
  const round = { round: 1, picture: blank, accepted: true, verdict: "The image is correct." };
  switch (task) {
    case "reflect":
      return { result: { rounds: [{ ...round, forwards: { plan: 1, draw: 1, judge: 1 } }] } };
    case "edit":
      return { result: { picture }, state: { source: null, region: null } };
    default:
      return { result: { text: "?", boxes: [], malformed: [] } };
  }
}

describe("eval all", () => {
  it("prints one object with a key a task, and keeps a folder of each", async () => {
    const report = await oracle(ignorant).run("all", "--n", "6", "--seed", "3", "--out", folder);
    expect(Object.keys(report)).toEqual([
      ...["t2i", "answer", "find", "edit", "plan", "reflect"],
      ...["model", "provider", "seconds"],
    ]);
    for (const name of ["t2i", "reflect"]) expect(report[name], name).toMatchObject({ strict: 0, seed: 3, n: 6 });
    for (const name of ["answer", "edit"]) expect(report[name], name).toMatchObject({ score: 0, seed: 3, n: 6 });
    expect(report).toMatchObject({ plan: { score: 0, n: 12 }, find: { list: { score: 0, n: 6 } } });
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) names.push(name);
    expect(names.sort()).toEqual(["answer", "edit", "find", "plan", "reflect", "t2i"]);
  });

  it("begins nothing if there is one task that the model cannot do", async () => {
    const able = oracle(ignorant), info = { ...able.inference.info, tasks: ["draw", "answer"] as const };
    const { run, requests, inference } = oracle(ignorant, { info });
    await expect(run("all", "--n", "6")).rejects.toThrow(`"code":"task_not_supported"`);
    expect([requests, inference.seen.requests]).toEqual([[], []]);
  });

  it.each([
    [["--n", "7"], "n_not_in_shares"],
    [["--steps", "4"], "flag_unused"],
  ])("refuses %j", async (args, code) => {
    await expect(oracle(ignorant).run("all", ...args)).rejects.toThrow(`"code":"${code}"`);
  });
});
