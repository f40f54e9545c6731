/** Plans over a table of numbers that says what a test tells it: boxes, what is malformed, and what a draw makes of them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseLexicon } from "../../../core/model/lexicon.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { createEdit, type EditInput } from "../../../core/tasks/edit.ts";
import { createPlan, parsePlanInput, type PlanTaskInput } from "../../../core/tasks/plan.ts";
import { continueHere, runHere } from "../../../core/tasks/run_here.ts";
import { picture, seeingModel } from "./seeing_model.ts";

const plan = createPlan();
const prompt = "a photo of a red car and a blue dog";
const lead = "Sure I should place the objects in the following manner";
// The table has 65 LOC tokens and draws 128 pixels.
const car = " <box_p> red car </box_p><LOC_BEGIN><LOC_4><LOC_8><LOC_20><LOC_24><LOC_END>";
const dog = " <box_p> blue dog </box_p><LOC_BEGIN><LOC_32><LOC_0><LOC_64><LOC_31><LOC_END>";
const exp = "<|reserved_token_7|>";
const saying = (text: string) =>
  seeingModel({ says: (asked) => (asked.includes("Please first think and plan") ? text : undefined) });
const cold: PlanTaskInput = { prompt, temperature: 0 };
const said = async (text: string, input: PlanTaskInput = cold) => await runHere(plan, input, saying(text));

describe("a drawing's plan", () => {
  test("is boxes in pixels, which a draw takes back unchanged or changed", async () => {
    const result = await said(`${lead}${car},${dog}${exp}`);
    expect(result).toMatchObject({
      text: `${lead}${car},${dog}`,
      boxes: [
        { label: "red car", xyxy: [8, 16, 40, 48], loc: [4, 8, 20, 24] },
        { label: "blue dog", xyxy: [64, 0, 128, 62], loc: [32, 0, 64, 31] },
      ],
      malformed: [],
    });
    expect(result).not.toHaveProperty("verb");
    const draw = createDraw();
    const planOf = (plan: Parameters<typeof draw.start>[0]["plan"]) =>
      draw.start({ prompt, seed: 1, steps: 2, ...(plan === undefined ? {} : { plan }) }, seeingModel()).settings.plan;
    const boxes = result.boxes.map(({ label, xyxy }) => ({
      label,
      xyxy: [...xyxy] as [number, number, number, number],
    }));
    expect(planOf(boxes)).toBe(`${lead}${car},${dog}${exp}`);
    expect(planOf(result.text)).toBe(planOf(boxes));
    expect(planOf(boxes.slice(1))).toBe(`${lead}${dog}${exp}`);
  });

  test("ends at [exp], where the picture comes: nothing behind it is decoded", async () => {
    const model = saying(`${lead}${car}${exp} and then some`);
    const { ids, steps, malformed } = await runHere(plan, cold, model);
    expect(malformed).toEqual([]);
    expect(model.tokenizer.decode(ids)).toBe(`${lead}${car}`);
    expect(steps).toBeLessThan(96);
  });

  test("may name four things of long names", async () => {
    const many = Array.from({ length: 4 }, () => dog.replace("blue dog", "red computer keyboard")).join();
    expect(await said(`${lead}${many}${exp}`)).toMatchObject({
      boxes: Array(4).fill({ loc: [32, 0, 64, 31] }),
      malformed: [],
    });
  });

  test.each([
    ["a box cut off", `${lead}${car}, <box_p> dog </box_p><LOC_BEGIN><LOC_1><LOC_2><LOC_END>`, ["<box_p> dog "], 1],
    ["words between boxes", `${lead}${car} and maybe${dog}`, [`${lead}${car} and maybe${dog}`], 2],
    ["no lead", `I think${car}`, [`I think${car}`], 1],
    ["no box", "a dog", ["a dog"], 0],
  ])("%s is told", async (_, text, malformed, boxes) => {
    const found = await said(text);
    expect(found.boxes).toHaveLength(boxes);
    expect(found.malformed).toHaveLength(malformed.length);
    expect(found.malformed[0]).toContain(malformed[0]);
  });

  test("without a temperature it is drawn, by the seed; micro-conditioning and caption are seen", async () => {
    const ids = async (input: PlanTaskInput) =>
      (await runHere(plan, { length: 16, ...input }, seeingModel())).ids.join();
    const all = await Promise.all([
      ids({ prompt, seed: 1 }),
      ids({ prompt, seed: 2 }),
      ids({ prompt, seed: 1, micro: "" }),
      ids({ prompt: "a dog", seed: 1 }),
      ids({ prompt, seed: 1, temperature: 0 }),
    ]);
    expect(new Set(all).size).toBe(5);
  });

  test("any state goes on exactly", async () => {
    const input: PlanTaskInput = { prompt, length: 16, block: 8, seed: 3 };
    const states = [plan.start(input, seeingModel())];
    const result = await runHere(plan, input, seeingModel(), { onStep: (state) => states.push(state) });
    for (const state of states) expect(await continueHere(plan, structuredClone(state), seeingModel())).toEqual(result);
  });
});

describe("an edit's plan", () => {
  const removing = "Sure I should consider removing the objects in these locations :";
  const input: PlanTaskInput = { instruction: "remove the dog", picture: picture(40, 30) };
  const box = " <box_p> dog </box_p><LOC_BEGIN><LOC_16><LOC_16><LOC_48><LOC_40><LOC_END>";

  test("sees the picture, leads with a verb, and is in pixels of that picture", async () => {
    const model = saying(`${removing}${box}${exp}`);
    const found = await runHere(plan, input, model);
    // 40x30 in a square of 40: 5 rows of padding above.
    expect(found).toMatchObject({
      verb: "removing",
      malformed: [],
      boxes: [{ label: "dog", xyxy: [10, 5, 30, 20] }],
    });
    expect(model.asked.slice(0, 2)).toEqual(["look tiles", "read"]);
    const others = await Promise.all(
      [input, { ...input, picture: picture(40, 30, 9) }].map(async (asked) =>
        (await runHere(plan, asked, seeingModel())).ids.join()
      ),
    );
    expect(others[0]).not.toBe(others[1]);
  });

  test("boxes stay inside the picture; another lead is told", async () => {
    const outside = await said(
      `${removing} <box_p> dog </box_p><LOC_BEGIN><LOC_0><LOC_0><LOC_64><LOC_64><LOC_END>`,
      input,
    );
    expect(outside.boxes).toMatchObject([{ xyxy: [0, 0, 40, 30], loc: [0, 0, 64, 64] }]);
    expect(await said(`${lead}${box}`, input)).toMatchObject({ verb: null, malformed: [`${lead}${box}`] });
  });

  test("goes to an edit as boxes or as text, and may lock its region", async () => {
    const edit = createEdit();
    const change: EditInput = { instruction: "remove the dog", picture: picture(40, 30), seed: 3, steps: 5 };
    const found = await said(`${removing}${box}${exp}`, input);
    const boxes = found.boxes.map(({ label, xyxy }) => ({
      label,
      xyxy: [...xyxy] as [number, number, number, number],
    }));
    const states = [
      edit.start({ ...change, plan: found.text }, seeingModel()),
      edit.start({ ...change, plan: boxes, planVerb: "removing" }, seeingModel()),
    ];
    expect(states.map((state) => state.plan)).toEqual(Array(2).fill(`${removing}${box}${exp}`));
    expect(states[0]?.region).toBeNull();
    const locked: EditInput = { ...change, plan: found.text, lock: "plan" };
    // LOC 16..48 x 16..40 of 64: positions 2..5 x 2..4 of 8.
    const region = [18, 19, 20, 21, 26, 27, 28, 29, 34, 35, 36, 37];
    expect([...edit.start(locked, seeingModel()).region ?? []]).toEqual(region);
    const ends = await Promise.all([locked, { ...locked, lock: "none" as const }].map(async (asked) => {
      const model = seeingModel();
      const source = await model.encode(picture(40, 30));
      const seen: Uint16Array[] = [];
      const { ids } = await runHere(edit, asked, model, {
        onStep: ({ source }) => source !== null && seen.push(source),
      });
      const changed = [...ids.keys()].filter((at) => ids[at] !== seen[0]?.[at]);
      return { changed, source };
    }));
    expect(ends[0]?.changed.every((at) => region.includes(at))).toBe(true);
    expect(ends[0]?.changed.length).toBeGreaterThan(0);
    expect(ends[1]?.changed.some((at) => !region.includes(at))).toBe(true);
  });
});

describe("refusals", () => {
  const lexicon = parseLexicon(readFileSync("models/scenes/lexicon.json", "utf8"));
  const code = (code: string, param?: string) =>
    expect.objectContaining({ code, ...(param === undefined ? {} : { param }) });

  test("no caption and no instruction, or what does not belong to them", () => {
    expect(() => parsePlanInput({})).toThrow(code("prompt_missing", "prompt"));
    expect(() => parsePlanInput({ instruction: "remove the dog" })).toThrow(code("picture_missing", "picture"));
    expect(() => parsePlanInput({ prompt, picture: picture() })).toThrow(code("option_unused", "picture"));
    expect(() => parsePlanInput({ prompt, instruction: "x", picture: picture() })).toThrow(
      code("option_unused", "prompt"),
    );
    expect(() => parsePlanInput({ instruction: "x", picture: picture(), micro: "" })).toThrow(
      code("option_unused", "micro"),
    );
    expect(() => plan.start({ instruction: "remove the dog" }, seeingModel())).toThrow(code("picture_missing"));
  });

  test("two pictures where one is meant", () => {
    expect(() => parsePlanInput({ instruction: "x", picture: [picture(), picture()] })).toThrow(
      expect.objectContaining({
        code: "picture_invalid",
        message: expect.stringContaining("one picture is meant here, and 2 came"),
      }),
    );
  });

  test("an instruction without an object, where the words are known", () => {
    const strict = createPlan(lexicon);
    const start = (instruction: string) => strict.start({ instruction, picture: picture() }, seeingModel());
    for (const nothing of ["make it nicer", "remove the dragon", "dogged"]) {
      expect(() => start(nothing)).toThrow(code("instruction_without_object", "instruction"));
    }
    expect(() => createEdit(lexicon).start({ instruction: "make it red", picture: picture(), seed: 1 }, seeingModel()))
      .toThrow(
        code("instruction_without_object"),
      );
    for (const something of ["Remove the  dog.", "add two wine glasses", "make the ground beige"]) start(something);
    expect(start("Remove the  dog.").planned).toMatchObject({ instruction: "remove the dog" });
  });

  test("a caption of unknown words, and a plan that is too long for its context", () => {
    expect(() => createPlan(lexicon).start({ prompt: "a dragon" }, seeingModel())).toThrow(code("unknown_words"));
    expect(() => plan.start({ prompt, length: 512, block: 512 }, seeingModel())).toThrow(code("prompt_too_long"));
    expect(() => plan.start({ prompt, length: 20, block: 16 }, seeingModel())).toThrow(code("block_length_invalid"));
  });

  test("locks without what they lock by", () => {
    const edit = createEdit();
    const start = (more: Partial<EditInput>) =>
      edit.start({ instruction: "remove it", picture: picture(), seed: 1, steps: 2, ...more }, seeingModel());
    const boxes: EditInput["plan"] = [{ label: "dog", xyxy: [0, 0, 20, 20] }];
    expect(() => start({ lock: "plan" })).toThrow(code("plan_missing", "plan"));
    expect(() => start({ lock: "mask" })).toThrow(code("mask_missing", "mask"));
    expect(() => start({ lock: "none", mask: picture() })).toThrow(code("option_unused", "mask"));
    expect(() => start({ lock: "plan", plan: boxes, mask: picture() })).toThrow(code("option_unused", "mask"));
    expect(() => start({ planVerb: "adding" })).toThrow(code("option_unused", "planVerb"));
    expect(() => start({ plan: [{ label: "dog", xyxy: [0, 0, 41, 20] }] })).toThrow(
      code("plan_outside_canvas", "plan"),
    );
    expect(start({ plan: boxes, lock: "none" }).region).toBeNull();
  });
});
