/** The tasks that see, over a table of numbers: any state goes on exactly, and each asks the network for what it needs. */
import { describe, expect, test } from "vitest";
import type { Model } from "../../../core/model/types.ts";
import { groundListText, groundOneText, groundPrompt } from "../../../core/model/prompts.ts";
import { type AnswerInput, answerInput, createAnswer } from "../../../core/tasks/answer.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { createEdit, type EditInput, editInput } from "../../../core/tasks/edit.ts";
import { createGround, groundInput } from "../../../core/tasks/ground.ts";
import { groundBoxes } from "../../../core/tasks/ground_boxes.ts";
import { createRefine, type RefineState } from "../../../core/tasks/refine.ts";
import { continueHere, runHere } from "../../../core/tasks/run_here.ts";
import { parseInput } from "../../../core/tasks/task_input.ts";
import type { Task } from "../../../core/tasks/task.ts";
import { fakeModel } from "./fake_model.ts";
import { picture, seeingModel } from "./seeing_model.ts";

const answer = createAnswer();
const ground = createGround();
const edit = createEdit();
const refine = createRefine(createDraw());
const question: AnswerInput = { question: "what is it", picture: picture(), length: 12, block: 4 };
const change: EditInput = { instruction: "make it red", picture: picture(), seed: 3, steps: 5 };

/** Runs to the end, then from a copy of every state in between, each on a model of its own. */
async function goesOnExactly<I, S, R, D>(task: Task<I, S, R, Model, D>, input: I, model = seeingModel) {
  const states = [task.start(input, model())];
  const result = await runHere(task, input, model(), { onStep: (state) => states.push(state) });
  for (const [k, state] of states.entries()) {
    const copy = structuredClone(state);
    expect(task.done(copy)).toBe(k + 1 === states.length);
    const later: S[] = [];
    expect(await continueHere(task, copy, model(), { onStep: (state) => later.push(state) })).toEqual(result);
    expect(later).toEqual(states.slice(k + 1));
    expect(copy).toEqual(state);
  }
  return { states, result };
}

describe("answer", () => {
  test.each<[string, AnswerInput, number]>([
    ["one token a step", question, 12],
    ["two steps a block, warm", { ...question, stepsPerBlock: 2, temperature: 0.9, seed: 4, confidence: "margin" }, 6],
    [
      "no picture, shifted",
      { question: "why", length: 12, block: 12, stepsPerBlock: 5, schedule: "shift", shift: 2 },
      5,
    ],
  ])("%s: any state goes on exactly", async (_name, input, steps) => {
    const { result } = await goesOnExactly(answer, input);
    expect(result).toMatchObject({ steps });
    expect(result.ids.length).toBe(12);
  });

  test("the prompt is read once and sees the picture", async () => {
    const model = seeingModel();
    const { ids } = await runHere(answer, question, model);
    expect(model.asked).toEqual(["look tiles", "read", ...Array(12).fill("words cached")]);
    const other = await runHere(answer, { ...question, picture: picture(40, 30, 9) }, seeingModel());
    expect(other.ids).not.toEqual(ids);
  });

  test("without a cache nothing is read, and another answer comes; a prefix model refuses that", async () => {
    const full = () => {
      const model = seeingModel();
      return { ...model, config: { ...model.config, promptAttention: "full" as const } };
    };
    const model = full();
    const { result } = await goesOnExactly(answer, { ...question, prefixCache: false }, full);
    expect(result.ids).not.toEqual((await runHere(answer, question, model)).ids);
    const whole = full();
    await runHere(answer, { ...question, prefixCache: false }, whole);
    expect(whole.asked).toEqual(["look tiles", ...Array(12).fill("words")]);
    expect(() => answer.start({ ...question, prefixCache: false }, seeingModel())).toThrow(
      /`prefixCache` has no effect/,
    );
  });

  test("an end token with nothing masked before it ends the answer, unless the release's way is asked for", async () => {
    const end = seeingModel().config.endTokenId;
    const { ids, steps } = await runHere(answer, { ...question, temperature: 0 }, seeingModel({ says: { 1: end } }));
    expect(ids.length).toBe(1);
    expect(steps).toBeLessThan(12);
    expect(await runHere(answer, { ...question, earlyStop: false }, seeingModel({ says: { 1: end } }))).toMatchObject({
      steps: 12,
    });
  });

  test("refusals", () => {
    const model = seeingModel();
    expect(() => answer.start({ ...question, question: "see <image>" }, model)).toThrow(/control token/);
    expect(() => answer.start({ ...question, block: 5 }, model)).toThrow(/does not divide/);
    expect(() => answer.start({ ...question, shift: 2 }, model)).toThrow(/`shift` has no effect/);
    expect(() => answer.start(question, fakeModel())).toThrow(/no vision tower/);
    expect(() => answer.start({ ...question, length: 512, block: 512 }, model)).toThrow(/fit beside the answer/);
    expect(() => parseInput(answerInput, { ...question, colour: 1 }, "an answer")).toThrow(/no parameter `colour`/);
    expect(() => parseInput(answerInput, { ...question, stepsPerBlock: 0 }, "an answer")).toThrow(
      expect.objectContaining({ code: "steps_per_block_invalid", param: "stepsPerBlock" }),
    );
    const torn = { ...picture(), width: 41 };
    expect(() => parseInput(answerInput, { ...question, picture: torn }, "an answer")).toThrow(/number of bytes/);
    expect(() => parseInput(answerInput, 3, "an answer")).toThrow(/takes an object/);
  });
});

describe("ground", () => {
  const one = { picture: picture(), expressions: ["a dog"] };
  const two = { picture: picture(), expressions: ["a dog", "a red cup"] };
  test.each([
    ["one forward", one],
    ["one forward for a list", two],
    ["four forwards", { ...one, steps: 4, perStep: 1 }],
    ["the published two a step", { ...two, steps: 4 }],
  ])("%s: any state goes on exactly, to the boxes of groundBoxes", async (_name, input) => {
    const { result, states } = await goesOnExactly(ground, input);
    const { steps = 1, perStep = 2 } = { steps: undefined, perStep: undefined, ...input };
    expect(states.length).toBe(steps + 1);
    const model = seeingModel();
    const features = await model.understanding.look(input.picture);
    const [first = ""] = input.expressions;
    const text = input.expressions.length === 1 ? groundOneText(first) : groundListText(input.expressions);
    const prompt = groundPrompt(text, features.length / model.config.dModel, model.tokenizer);
    const boxes = await groundBoxes(model.understanding, model.tokenizer, prompt, features, { steps, perStep });
    expect(result.map((one) => one.found && one.loc)).toEqual(boxes);
    expect(result.map(({ expression }) => expression)).toEqual(input.expressions);
  });

  test("only LOC rows are asked for, all boxes at once, and the box is in pixels of the picture", async () => {
    const model = seeingModel();
    const [dog] = await runHere(ground, two, model);
    expect(model.asked).toEqual(["look tiles", "locations 8"]);
    if (dog?.found !== true) throw new Error("no box");
    // 40x30 in a square of 40: 5 rows of padding above; LOC numbers end at 64.
    expect(dog.box.x1).toBeCloseTo(dog.loc[0] / 64 * 40);
    expect(dog.box.y1).toBeCloseTo(dog.loc[1] / 64 * 40 - 5);
  });

  test("an expression that is not there is told by the empty box, and has none", async () => {
    const nowhere = { 4: 0, 5: 0, 6: 0, 7: 0 };
    const found = await runHere(ground, two, seeingModel({ finds: nowhere }));
    expect(found).toMatchObject([{ expression: "a dog", found: true }, { expression: "a red cup", found: false }]);
    expect(found[1]).toEqual({ expression: "a red cup", found: false });
    // One coordinate that is none of a corner's makes it a box, however narrow.
    const narrow = await runHere(ground, two, seeingModel({ finds: { ...nowhere, 6: 3 } }));
    expect(narrow[1]).toMatchObject({ found: true, loc: [0, 0, 3, 0] });
  });

  test("what was fixed is context for the next forward", async () => {
    const { states } = await goesOnExactly(ground, { ...one, steps: 3, perStep: 1 });
    expect(states.map(({ fixed }) => Object.keys(fixed).length)).toEqual([0, 1, 2, 2]);
    const [first, second] = [states[1], states[2]];
    expect(second?.best).not.toEqual(first?.best);
  });

  test("refusals", () => {
    expect(() => ground.start({ ...one, expressions: ["<box_p>"] }, seeingModel())).toThrow(/control token/);
    expect(() => ground.start(one, fakeModel())).toThrow(/no vision tower/);
    expect(() => parseInput(groundInput, { ...one, expressions: [] }, "grounding")).toThrow(/`expressions`/);
    expect(() => parseInput(groundInput, { ...one, steps: 17 }, "grounding")).toThrow(/`steps`/);
  });
});

describe("edit", () => {
  test.each([0, 1, 2, 3] as const)("mode %i: any state goes on exactly", async (mode) => {
    const { states, result } = await goesOnExactly(edit, { ...change, mode });
    expect(states.length).toBe(7); // one to encode, five to draw
    expect(states[1]?.draw.step).toBe(0);
    expect(result.ids.length).toBe(64);
  });

  test("each mode, either guidance, the picture and a plan change what is drawn", async () => {
    const others: EditInput[] = [
      ...([1, 2, 3] as const).map((mode) => ({ ...change, mode })),
      { ...change, guidance: 3 },
      { ...change, imageGuidance: 0.2 },
      { ...change, picture: picture(30, 40) },
      { ...change, plan: [{ label: "dog", xyxy: [0, 0, 20, 20] }] },
      { ...change, plan: [{ label: "dog", xyxy: [0, 0, 20, 20] }], planVerb: "removing" },
    ];
    const drawn = new Set<string>();
    for (const input of [change, ...others]) drawn.add((await runHere(edit, input, seeingModel())).ids.join());
    expect(drawn.size).toBe(others.length + 1);
  });

  test("the source is encoded once, also over a resume, and stays as it is", async () => {
    const model = seeingModel();
    const states = [edit.start(change, model)];
    await runHere(edit, change, model, { onStep: (state) => states.push(state) });
    expect(model.asked.filter((what) => what === "encode").length).toBe(1);
    expect(model.asked.filter((what) => what === "look tiles").length).toBe(1);
    const later = seeingModel();
    const half = states[3];
    if (half === undefined) throw new Error("no state");
    await continueHere(edit, half, later);
    expect(later.asked).toEqual(["look tiles", "prompt 3"]);
    expect(half.source).toEqual(states[1]?.source);
    expect(model.open()).toBe(0);
  });

  test("no guidance runs one row, and an interval bounds image guidance alone", async () => {
    const model = seeingModel();
    await runHere(edit, { ...change, guidance: 0, imageGuidance: 0 }, model);
    expect(model.asked).toContain("prompt 1");
    const part = seeingModel();
    await runHere(edit, { ...change, guidance: 0, guidanceInterval: [0, 0.5] }, part);
    expect(part.calls.map(({ rows }) => rows)).toEqual([3, 3, 1, 1, 1]);
  });

  test("refusals", () => {
    const model = seeingModel();
    expect(() => edit.start({ ...change, instruction: " " }, model)).toThrow(/empty/);
    expect(() => edit.start({ ...change, confidenceTemperature: 3 }, model)).toThrow(/`confidenceTemperature` has no/);
    const alone = { ...change, guidance: 0, imageGuidance: 0, guidanceInterval: [0, 0.5] as [number, number] };
    expect(() => edit.start(alone, model)).toThrow(/`guidanceInterval` has no effect/);
    expect(() => edit.start(change, fakeModel())).toThrow(/no vision tower/);
    expect(() => parseInput(editInput, { ...change, micro: "x" }, "an edit")).toThrow(/no parameter `micro`/);
    expect(() => parseInput(editInput, { ...change, mode: 4 }, "an edit")).toThrow(/`mode`/);
    const pictures = [[undefined, "picture_missing"], [[picture(), picture()], "picture_invalid"]] as const;
    for (const [picture, code] of pictures) {
      const refused = expect.objectContaining({ code, param: "picture" });
      expect(() => parseInput(editInput, { ...change, picture }, "an edit")).toThrow(refused);
      expect(() => parseInput(groundInput, { expressions: ["a dog"], picture }, "grounding")).toThrow(refused);
    }
  });
});

describe("refinement rounds", () => {
  const finished = async (seed = 5) => {
    const draw = createDraw();
    const states = [draw.start({ prompt: "a photo of a dog", seed, steps: 6 }, fakeModel())];
    await runHere(draw, { prompt: "a photo of a dog", seed, steps: 6 }, fakeModel(), {
      onStep: (state) => states.push(state),
    });
    const last = states.at(-1);
    if (last === undefined) throw new Error("no state");
    return last;
  };
  const masked = ({ draw: { sequence } }: RefineState) =>
    [...sequence.revealedAt.keys()].filter((position) => sequence.revealedAt[position] === 0);

  test("each round masks a share again, and everything else keeps its id", async () => {
    const draw = await finished();
    const { states, result } = await goesOnExactly(refine, { draw, rounds: 3, share: 0.1 });
    expect(states.map((state) => masked(state).length)).toEqual([6, 6, 6, 0]);
    expect(states.map(({ closed }) => closed.length)).toEqual([1, 2, 3, 3]);
    for (const state of states.slice(0, 3)) {
      const before = state.closed.at(-1)?.ids ?? [];
      const open = new Set(masked(state));
      for (const [position, id] of state.draw.sequence.ids.entries()) {
        if (!open.has(position)) expect(id).toBe(before[position]);
      }
    }
    // Another part each time, and not what the drawing's own random numbers gave.
    expect(new Set(states.slice(0, 3).map((state) => masked(state).join())).size).toBe(3);
    expect(result.ids).not.toEqual(draw.sequence.ids);
  });

  test("a hundredth of 64 is one; the seed decides which", async () => {
    const places = await Promise.all(
      [5, 6, 7, 8].map(async (seed) => masked(refine.start({ draw: await finished(seed) }, fakeModel()))),
    );
    expect(places.every(({ length }) => length === 1)).toBe(true);
    expect(new Set(places.flat()).size).toBeGreaterThan(1);
  });

  test("a picture that is not finished is refused", () => {
    const draw = createDraw().start({ prompt: "a photo of a dog", seed: 5, steps: 6 }, fakeModel());
    expect(() => refine.start({ draw }, fakeModel())).toThrow(/not finished/);
  });
});
