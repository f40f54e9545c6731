import { describe, expect, it } from "vitest";
import { createJudge } from "../../bench/scenes/judge.ts";
import { render } from "../../bench/scenes/render.ts";
import { loadWorld } from "../../bench/scenes/world.ts";
import { decodePicture } from "../../core/image/codec.ts";
import { makeSheets } from "../../docs/make_sheets.ts";
import { oracle } from "../commands/eval/oracle.ts";

const world = await loadWorld();
const judge = createJudge(world);
const blank = render(world, { ground: 0, things: [] });

/** Whoever knows nothing, and says so in markup. */
const ignorant = () =>
  oracle(({ task, input, picture }) => {
    const round = (n: number, accepted: boolean) => ({ round: n, picture: blank, verdict: `verdict ${n}`, accepted });
    if (task === "reflect") return { result: { picture: blank, rounds: [round(1, false), round(2, true)] } };
    if (task === "edit") return { result: { picture } };
    const labels = (input["expressions"] ?? []) as string[];
    return { result: { text: "*?*", boxes: labels.map((label) => ({ label, found: false })), malformed: [] } };
  });

describe("sheets", () => {
  it("are one a task, of the first cases, with the words that belong to each picture", async () => {
    const { inference } = ignorant(), told: string[] = [];
    const { pictures, page } = await makeSheets({ world, judge, inference, seed: 7 }, (line) => told.push(line));
    expect([...pictures.keys()]).toEqual(["answer.png", "find.png", "edit.png", "plan.png", "reflect.png"]);
    expect(told).toEqual([
      "answer: 8 pictures",
      "find: 8 pictures",
      "edit: 16 pictures",
      "plan: 8 pictures",
      "reflect: 24 pictures",
    ]);
    const sheet = await decodePicture(pictures.get("reflect.png") ?? new Uint8Array());
    expect([sheet.width, sheet.height]).toEqual([4 * 264 - 8, 6 * 264 - 8]);
    for (const name of ["answer", "find", "edit", "plan", "reflect"]) {
      expect(page).toContain(`![${name}](sheets/${name}.png)`);
    }
    expect(page).toMatch(/- 1\.1 .*\? \\\*\?\\\* \(wrong: an? /);
    expect(page).toMatch(/- 1\.1 a photo of .* \(wrong: expected /);
    expect(page).toMatch(/- 6\.2 verdict 2 \(the judge: .*\n- 6\.3 as before/);
  }, 240_000);

  it("say so where the model was not trained for a task", async () => {
    const { inference } = ignorant(), told: string[] = [];
    const able = { ...inference, info: { ...inference.info, tasks: ["draw", "plan"] as const } };
    const { pictures, page } = await makeSheets({ world, judge, inference: able, seed: 7 }, (line) => told.push(line));
    expect([...pictures.keys()]).toEqual(["plan.png"]);
    expect(page).toMatch(/## edit\n\nNone: .* was not trained for the task edit\./);
    expect(told).toContainEqual(expect.stringMatching(/^edit: none/));
  });
});
