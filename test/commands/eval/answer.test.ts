import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { QUESTION_KINDS } from "../../../bench/scenes/questions.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld, type Scene } from "../../../bench/scenes/world.ts";
import { answerCases } from "../../../commands/eval/answer.ts";
import { teller } from "../../bench/scenes/truth.ts";
import { keyOf, oracle } from "./oracle.ts";

const world = await loadWorld();
const truth = teller(world);
const ONES = Object.fromEntries(QUESTION_KINDS.map((kind) => [kind, 1]));
const ZEROES = Object.fromEntries(QUESTION_KINDS.map((kind) => [kind, 0]));

let folder = "";
beforeEach(async () => void (folder = await Deno.makeTempDir()));
afterEach(() => Deno.remove(folder, { recursive: true }));

/** Whoever sees the scene that was rendered, and says `say` about it. */
function seer(n: number, seed: number, say: (scene: Scene, question: string) => string) {
  const scenes = new Map(
    answerCases(world, n, seed).map(({ scene, text }) => [keyOf(text, render(world, scene)), scene]),
  );
  return oracle(({ input, picture }) => {
    const question = String(input["question"]), scene = scenes.get(keyOf(question, picture));
    if (scene === undefined) throw new Error(`nobody asked "${question}" about that`);
    return { result: { text: say(scene, question), textTokens: 5, promptTokens: 9, truncated: false } };
  });
}

describe("eval answer", () => {
  it("gives full marks to whoever tells the truth, by kind and by split", async () => {
    const { run, requests } = seer(28, 3, (scene, question) => `${truth.answer(scene, question)}.`);
    const report = await run("answer", "--n", "28", "--seed", "3");
    expect(report).toMatchObject({ score: 1, interval: [1, 1], kinds: ONES, n: 28, seed: 3, model: "scenes" });
    expect(report).toMatchObject({
      seen: { score: 1, kinds: ONES, n: 14 },
      held_out: { score: 1, kinds: ONES, n: 14 },
    });
    expect(requests.every(({ task }) => task === "answer")).toBe(true);
  });

  it("gives nothing to whoever lies, with an answer of the same kind", async () => {
    const { run } = seer(28, 3, (scene, question) => {
      const answer = truth.answer(scene, question);
      return { yes: "no", no: "yes", one: "two", none: "the dog" }[answer] ?? `${answer} and a dog`;
    });
    expect(await run("answer", "--n", "28", "--seed", "3")).toMatchObject({
      score: 0,
      interval: [0, 0],
      kinds: ZEROES,
    });
  });

  it("keeps what was asked and said, and pictures of what was wrong", async () => {
    const { run } = seer(7, 1, (scene, question) => /^What/.test(question) ? "?" : truth.answer(scene, question));
    await run("answer", "--n", "7", "--seed", "1", "--out", `${folder}/out`);
    const lines = (await Deno.readTextFile(`${folder}/out/answers.jsonl`)).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    expect(lines.map(({ kind }) => kind)).toEqual([...QUESTION_KINDS]);
    const wrong = lines.flatMap(({ right, kind }, i) => right ? [] : [`0000${i}-${kind}.png`]);
    const files: string[] = [];
    for await (const { name } of Deno.readDir(`${folder}/out`)) if (name.endsWith(".png")) files.push(name);
    expect(files.sort()).toEqual(wrong);
    expect(wrong.length).toBeGreaterThan(0);
  });

  it.each([
    [["--n", "0"], "n_out_of_range"],
    [["--n", "1.5"], "n_out_of_range"],
    [["--seen"], "flag_unused"],
    [["--steps", "4"], "flag_unused"],
    [["--rounds", "4"], "flag_unused"],
  ])("refuses %j", async (args, code) => {
    const { run, requests } = seer(7, 0, () => "");
    await expect(run("answer", ...args)).rejects.toThrow(`"code":"${code}"`);
    expect(requests).toEqual([]);
  });
});
