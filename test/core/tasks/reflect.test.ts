/** Reflection over a table of numbers that judges as a test tells it: rounds, what they see, and the trace. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseLexicon } from "../../../core/model/lexicon.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { createPlan } from "../../../core/tasks/plan.ts";
import { createReflect, type ReflectInput, reflectInput, type ReflectResult } from "../../../core/tasks/reflect.ts";
import type { ReflectState } from "../../../core/tasks/reflect_state.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import { parseInput } from "../../../core/tasks/task_input.ts";
import { fakeModel } from "./fake_model.ts";
import { type Say, type SeeingModel, seeingModel } from "./seeing_model.ts";

const draw = createDraw();
const reflect = createReflect(draw);
const prompt = "a photo of a dog";
const input: ReflectInput = { prompt, seed: 5, steps: 3 };
const planned = "Sure I should place the objects in the following manner" +
  " <box_p> dog </box_p><LOC_BEGIN><LOC_4><LOC_8><LOC_20><LOC_24><LOC_END><|reserved_token_7|>";

/** Plans, and judges by the picture that it sees. */
const saying = (verdict: (seen: number) => string): Say => (asked, seen) =>
  asked.includes("Please first think") ? planned : asked.includes("Please evaluate") ? verdict(seen) : undefined;
const wrong = saying(() => "The dog is missing.");
const right = saying(() => "The image is correct.");
/** Another reason for each picture. */
const various = saying((seen) => `The dog is missing ${"abcdefgh"[seen % 8]}.`);

async function reflected(more: Partial<ReflectInput>, says: Say): Promise<ReflectResult & { model: SeeingModel }> {
  const model = seeingModel({ says });
  const result = await runHere(reflect, { ...input, ...more }, model);
  expect(model.open()).toBe(0);
  return { ...result, model };
}
const drawnIds = ({ rounds }: ReflectResult) => rounds.map(({ ids }) => ids.join());

describe("rounds", () => {
  test("end with the first picture that is called correct", async () => {
    const { rounds, picture, model } = await reflected({}, right);
    expect(rounds).toMatchObject([{
      round: 1,
      seed: 5,
      counters: { draw: 0, plan: 1, judge: 2 },
      plan: { boxes: [{ label: "dog", xyxy: [8, 16, 40, 48] }], malformed: [] },
      feedback: [],
      verdict: "The image is correct.",
      accepted: true,
      reason: null,
      forwards: { draw: 3 },
    }]);
    expect(rounds[0]?.picture).toEqual(picture);
    expect(model.asked.filter((what) => what.startsWith("look"))).toEqual(["look tiles"]);
  });

  test("end in the round that the judge accepts", async () => {
    const { rounds } = await reflected({}, wrong);
    const looks = rounds.map(({ picture }) => picture.data.join());
    // The judge of this one knows the third picture of the others.
    const seen: number[] = [];
    await reflected({}, saying((picture) => (seen.push(picture), "The dog is missing.")));
    const third = [...new Set(seen)][2];
    const again = await reflected(
      {},
      saying((picture) => picture === third ? "it is correct now" : "The dog is missing."),
    );
    expect(again.rounds.map(({ accepted }) => accepted)).toEqual([false, false, true]);
    expect(again.rounds.map(({ reason }) => reason)).toEqual(["The dog is missing.", "The dog is missing.", null]);
    expect(again.rounds.map(({ picture }) => picture.data.join())).toEqual(looks.slice(0, 3));
  });

  test("end when there are no more, with the last picture; each drawing is another", async () => {
    const result = await reflected({ rounds: 3 }, wrong);
    expect(result.rounds).toHaveLength(3);
    expect(new Set(drawnIds(result)).size).toBe(3);
    expect(result.picture).toEqual(result.rounds[2]?.picture);
    expect(result.rounds.map(({ counters }) => counters.draw)).toEqual([0, 4, 8]);
    expect(result.imageTokens).toBe(3 * 64);
    expect((await reflected({}, wrong)).rounds).toHaveLength(4);
  });

  test("the first is a plan and a draw of the same seed", async () => {
    const free: Say = (asked) => (asked.includes("Please evaluate") ? "The image is correct." : undefined);
    const { rounds } = await reflected({ planTemperature: 0.9 }, free);
    const model = seeingModel({ says: free });
    const plan = await runHere(createPlan(), { prompt, seed: 5, temperature: 0.9 }, model);
    expect(rounds[0]?.plan?.text).toBe(plan.text);
    const written = await reflected({}, right);
    const alone = draw.start({ prompt, seed: 5, steps: 3, plan: planned }, model);
    const { picture } = await runHere(draw, { prompt, seed: 5, steps: 3, plan: alone.settings.plan ?? "" }, model);
    expect(picture).toEqual(written.picture);
    const plain = await reflected({ plan: false }, right);
    expect(plain.picture).toEqual((await runHere(draw, { prompt, seed: 5, steps: 3 }, model)).picture);
    expect(plain.rounds[0]).toMatchObject({ plan: null, forwards: { plan: 0 } });
  });
});

describe("what a drawing sees", () => {
  test("is every failure so far, pictures and texts; self-verify sees none", async () => {
    const seeing = await reflected({ plan: false, rounds: 3 }, wrong);
    expect(seeing.rounds.map(({ feedback }) => feedback)).toEqual([[], [1], [1, 2]]);
    // Each refused picture is looked at once in full and once as one of several.
    expect(seeing.model.asked.filter((what) => what.startsWith("look"))).toEqual([
      ...["look tiles", "look single", "look tiles", "look single", "look tiles"],
    ]);
    const blind = await reflected({ plan: false, rounds: 3, feedback: false }, wrong);
    expect(blind.rounds.map(({ feedback }) => feedback)).toEqual([[], [], []]);
    expect(blind.model.asked.filter((what) => what === "look single")).toEqual([]);
    expect(drawnIds(blind)[0]).toBe(drawnIds(seeing)[0]);
    expect(drawnIds(blind)[1]).not.toBe(drawnIds(seeing)[1]);
    // The text is seen as well as the picture.
    const other = await reflected({ plan: false, rounds: 3 }, saying(() => "There is an extra dog."));
    expect(drawnIds(other)[0]).toBe(drawnIds(seeing)[0]);
    expect(drawnIds(other)[1]).not.toBe(drawnIds(seeing)[1]);
  });

  test("is at most three failures, with different texts, chosen by the seed", async () => {
    const same = await reflected({ plan: false, rounds: 6 }, wrong);
    expect(same.rounds.map(({ feedback }) => feedback)).toEqual([[], [1], [1, 2], [1, 2, 3], [1], [1]]);
    const choices = new Set<string>();
    for (const seed of [1, 2, 3]) {
      const { rounds } = await reflected({ plan: false, rounds: 8, seed }, various);
      for (const { feedback, round } of rounds.slice(4)) {
        const texts = feedback.map((seen) => rounds[seen - 1]?.verdict);
        const known = new Set(rounds.slice(0, round - 1).map(({ verdict }) => verdict)).size;
        expect(new Set(texts).size).toBe(Math.min(3, known));
        expect(feedback).toHaveLength(Math.min(3, known));
        expect(feedback).toEqual(feedback.toSorted((a, b) => a - b));
        choices.add(feedback.join());
      }
    }
    expect(choices.size).toBeGreaterThan(2);
  });
});

describe("without a judge", () => {
  test("one plan and its picture, which is text and picture of one run", async () => {
    const { rounds, model } = await reflected({ judge: false }, wrong);
    expect(rounds).toMatchObject([{
      plan: { boxes: [{ label: "dog" }] },
      verdict: null,
      accepted: null,
      reason: null,
    }]);
    expect(model.asked.some((what) => what.startsWith("look"))).toBe(false);
    expect(rounds[0]?.forwards).toMatchObject({ draw: 3, judge: 0 });
    expect(rounds[0]?.ids).toEqual((await reflected({}, right)).rounds[0]?.ids);
  });
});

test("counts its steps through all phases, as far as they are known", async () => {
  const states: ReflectState[] = [];
  const { rounds } = await runHere(reflect, { ...input, rounds: 2 }, seeingModel({ says: wrong }), {
    onStep: (state) => states.push(state),
  });
  const forwards = rounds.flatMap(({ forwards: { plan, draw, judge } }) => [plan, draw, judge]);
  expect(states).toHaveLength(forwards.reduce((sum, count) => sum + count, 0));
  // Texts end early.
  expect(forwards.every((count) => count > 0)).toBe(true);
  expect(forwards[0]).toBeLessThan(96);
  expect(forwards[2]).toBeLessThan(32);
});

describe("refusals", () => {
  const code = (code: string, param?: string) =>
    expect.objectContaining({ code, ...(param === undefined ? {} : { param }) });
  const start = (more: Partial<ReflectInput>, model = seeingModel()) => reflect.start({ ...input, ...more }, model);

  test("options that would do nothing", () => {
    expect(() => start({ judge: false, rounds: 2 })).toThrow(code("option_unused", "rounds"));
    expect(() => start({ judge: false, feedback: false })).toThrow(code("option_unused", "feedback"));
    expect(() => start({ rounds: 1, feedback: false })).toThrow(code("option_unused", "feedback"));
    expect(() => start({ plan: false, planTemperature: 0 })).toThrow(code("option_unused", "planTemperature"));
    expect(() => start({ confidenceTemperature: 3 })).toThrow(code("option_unused", "confidenceTemperature"));
    expect(start({ judge: false, rounds: 1, feedback: true }).settings).toMatchObject({ rounds: 1, judge: null });
  });

  test("feedback, by a model that was not trained for it; else failures are drawn anew", () => {
    const untrained = createReflect(draw, false);
    expect(() => untrained.start({ ...input, feedback: true }, seeingModel()))
      .toThrow(code("feedback_not_supported", "feedback"));
    expect(untrained.start(input, seeingModel()).settings).toMatchObject({ feedback: false, rounds: 4 });
    expect(untrained.start({ ...input, rounds: 1 }, seeingModel()).settings.rounds).toBe(1);
    expect(start({}).settings.feedback).toBe(true);
  });

  test("values out of range, a model that cannot see, words that it does not know", () => {
    const parse = (more: Record<string, unknown>) => parseInput(reflectInput, { ...input, ...more }, "a reflection");
    expect(() => parse({ rounds: 0 })).toThrow(code("rounds_invalid", "rounds"));
    expect(() => parse({ rounds: 17 })).toThrow(code("rounds_invalid", "rounds"));
    expect(() => parse({ plan: "Sure" })).toThrow(code("plan_invalid", "plan"));
    expect(() => parse({ prompt: undefined })).toThrow(code("prompt_missing", "prompt"));
    expect(() => reflect.start(input, fakeModel())).toThrow(code("part_missing"));
    const lexicon = parseLexicon(readFileSync("models/scenes/lexicon.json", "utf8"));
    const strict = createReflect(createDraw({ lexicon }));
    expect(() => strict.start({ ...input, prompt: "a dragon" }, seeingModel())).toThrow(code("unknown_words"));
  });

  test("what would not fit in a later round is refused before the first", () => {
    const narrow = (tokens: number) => {
      const model = seeingModel();
      return { ...model, config: { ...model.config, maxPositions: tokens } };
    };
    const fits = (more: Partial<ReflectInput>, tokens: number) => {
      try {
        start({ plan: false, ...more }, narrow(tokens));
        return true;
      } catch {
        return false;
      }
    };
    const least = (more: Partial<ReflectInput>) => {
      for (let tokens = 60; tokens < 512; tokens++) if (fits(more, tokens)) return tokens;
      throw new Error("nothing fits");
    };
    const needs = [1, 2, 3, 4, 5].map((rounds) => least({ rounds }));
    expect(needs[1]).toBeGreaterThan(needs[0] ?? 0);
    expect(needs[3]).toBeGreaterThan(needs[2] ?? 0);
    expect(needs[4]).toBe(needs[3]);
    expect(least({ plan: true, rounds: 4 })).toBe((needs[3] ?? 0) + 96);
    expect(() => start({ rounds: 4 }, narrow((needs[3] ?? 0) - 1))).toThrow(code("prompt_too_long"));
  });
});
