import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EDIT_KINDS, type EditCase } from "../../../bench/scenes/edits.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld, type Scene } from "../../../bench/scenes/world.ts";
import { editCases } from "../../../commands/eval/edit.ts";
import { keyOf, oracle, type Request, type Told } from "./oracle.ts";

const world = await loadWorld();
const N = EDIT_KINDS.length;
const ONES = Object.fromEntries(EDIT_KINDS.map((kind) => [kind, 1]));

let folder = "";
beforeEach(async () => void (folder = await Deno.makeTempDir()));
afterEach(() => Deno.remove(folder, { recursive: true }));

/** Four tokens, of which the first two are the region. */
const LOCKED = { source: Uint16Array.of(1, 2, 3, 4), region: Uint32Array.of(0, 1) };

/** Whoever edits as `edit` says, and plans as `plan` says. */
function editor(
  edit: (request: Request, own: EditCase) => Scene,
  plan: (own: EditCase) => unknown = planOf,
  ids = Uint16Array.of(9, 9, 3, 4),
) {
  const cases = new Map(editCases(world, N, 4).map((own) => [keyOf(own.instruction, render(world, own.source)), own]));
  return oracle((request): Told => {
    const { task, input, picture } = request;
    const own = cases.get(keyOf(String(input["instruction"]), picture));
    if (own === undefined) throw new Error("nobody asked for that");
    if (task === "plan") return { result: plan(own) };
    const region = input["lock"] === "plan" ? LOCKED.region : null;
    return {
      result: { picture: render(world, edit(request, own)), imageTokens: 256, promptTokens: 9 },
      state: { source: LOCKED.source, region, draw: { sequence: { ids } } },
    };
  });
}

const planOf = ({ source }: EditCase) => ({
  text: "a plan",
  verb: "edit",
  boxes: source.things.map(({ x, y, size }) => ({ label: "dog", xyxy: [x, y, x + size, y + size], loc: [0, 0, 1, 1] })),
  malformed: [],
});

describe("eval edit", () => {
  it("gives full marks to whoever does as told, by every way, and compares the ways", async () => {
    const { run, requests } = editor((_, { target }) => target);
    const report = await run("edit", "--n", `${N}`, "--seed", "4", "--steps", "3");
    expect(report).toMatchObject({
      way: "three_way",
      score: 1,
      interval: [1, 1],
      kinds: ONES,
      asked: 1,
      kept: 1,
      n: N,
    });
    const same = { score: 1, gain: 0, gain_interval: [0, 0] };
    expect(report["ways"]).toMatchObject({
      two_way: same,
      planned: { ...same, planless: 0 },
      locked: { ...same, planless: 0, outside: 1, regions: N },
    });
    expect(report["locked_over_planned"]).toEqual({ gain: 0, gain_interval: [0, 0] });
    const edits = requests.filter(({ task }) => task === "edit").map(({ input }) => input);
    expect(edits.every(({ steps }) => steps === 3)).toBe(true);
    const of = (instruction: unknown) => edits.filter((input) => input["instruction"] === instruction);
    const [base, two, planned, locked] = of(edits[0]?.["instruction"]);
    expect([base?.["imageGuidance"], two?.["imageGuidance"]]).toEqual([undefined, 0]);
    expect([two?.["plan"], planned?.["lock"], planned?.["planVerb"], locked?.["lock"]])
      .toEqual([undefined, undefined, "edit", "plan"]);
    // The same seed, so that the ways are pairs.
    expect(new Set([base, two, planned, locked].map((input) => input?.["seed"])).size).toBe(1);
  });

  it("gives nothing to whoever hands the source back, or makes something of their own", async () => {
    const lazy = editor((_, { source }) => source);
    expect(await lazy.run("edit", "--n", `${N}`, "--seed", "4", "--ways", "three_way"))
      .toMatchObject({ score: 0, interval: [0, 0], asked: 0, kept: 1, ways: {} });
    expect(lazy.requests.some(({ task }) => task === "plan")).toBe(false);
    const wild = editor((_, { source }) => ({ ground: source.ground, things: [] }));
    expect(await wild.run("edit", "--n", `${N}`, "--seed", "4", "--ways", "three_way")).toMatchObject({ score: 0 });
  });

  it("tells the ways apart", async () => {
    const { run } = editor(({ input }, { source, target }) => input["plan"] === undefined ? source : target);
    const report = await run("edit", "--n", `${N}`, "--seed", "4", "--ways", "three_way,planned");
    expect(report).toMatchObject({ score: 0, ways: { planned: { score: 1, gain: 1, gain_interval: [1, 1] } } });
    expect(report).not.toHaveProperty("locked_over_planned");
    const locked = editor(({ input }, { source, target }) => input["lock"] === "plan" ? target : source);
    expect(await locked.run("edit", "--n", `${N}`, "--seed", "4", "--ways", "planned,locked"))
      .toMatchObject({ locked_over_planned: { gain: 1, gain_interval: [1, 1] } });
  });

  it("edits without a plan where the model's own cannot be read, and says how often", async () => {
    const { run, requests } = editor(
      (_, { target }) => target,
      () => ({ text: "?", verb: null, boxes: [], malformed: ["?"] }),
    );
    const report = await run("edit", "--n", `${N}`, "--seed", "4", "--ways", "planned,locked");
    expect(report).toMatchObject({ way: "planned", score: 1, planless: 1 });
    expect(report["ways"]).toMatchObject({ locked: { planless: 1 } });
    expect(requests.filter(({ input }) => input["plan"] !== undefined || input["lock"] !== undefined)).toEqual([]);
  });

  it("tells a lock that lets tokens outside go", async () => {
    const { run } = editor((_, { target }) => target, planOf, Uint16Array.of(9, 9, 9, 4));
    expect(await run("edit", "--n", `${N}`, "--seed", "4", "--ways", "locked")).toMatchObject({
      outside: 0.5,
      regions: N,
    });
  });

  it("keeps sources, results and why they failed", async () => {
    const { run } = editor((_, { source }) => source);
    await run("edit", "--n", "2", "--seed", "4", "--ways", "three_way", "--out", folder);
    const lines = (await Deno.readTextFile(`${folder}/edits.jsonl`)).trim().split("\n").map((line) => JSON.parse(line));
    expect(lines.map(({ kind }) => kind)).toEqual(["add", "remove"]);
    expect(lines[0].three_way).toMatchObject({ right: false, asked: false, reason: "the change is missing" });
    for (const name of ["00000-source.png", "00001-three_way.png"]) {
      expect((await Deno.stat(`${folder}/${name}`)).isFile).toBe(true);
    }
  });

  it.each([
    [["--ways", "four_way"], "ways_unknown"],
    [["--ways", "planned,planned"], "ways_unknown"],
    [["--n", "0"], "n_out_of_range"],
    [["--order", "halton"], "flag_unused"],
  ])("refuses %j", async (args, code) => {
    await expect(editor((_, { target }) => target).run("edit", ...args)).rejects.toThrow(`"code":"${code}"`);
  });
});
