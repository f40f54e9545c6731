import { describe, expect, test } from "vitest";
import { ORDERS } from "../../../core/diffusion/order/order.ts";
import { createDraw, type DrawResult } from "../../../core/tasks/draw.ts";
import { DRAW_DEFAULTS } from "../../../core/tasks/draw_defaults.ts";
import { type DrawInput, drawInput, parseDrawInput } from "../../../core/tasks/draw_input.ts";
import { decodeDrawState, type DrawState, encodeDrawState } from "../../../core/tasks/draw_state.ts";
import { continueHere, runHere } from "../../../core/tasks/run_here.ts";
import { cutBack, maskedPositions } from "../../../core/tasks/sequence.ts";
import { parseLexicon } from "../../../core/model/lexicon.ts";
import { fakeModel } from "./fake_model.ts";

const draw = createDraw();
const input: DrawInput = { prompt: "a photo of a dog", seed: 5, steps: 9, guidance: 1.5 };

/** Every state of a run, the first and the last included. */
async function states(request: DrawInput): Promise<{ all: DrawState[]; result: DrawResult }> {
  const model = fakeModel();
  const all = [draw.start(request, model)];
  const result = await runHere(draw, request, model, { onStep: (state) => all.push(state) });
  expect(model.open()).toBe(0);
  return { all, result };
}

/** One request for each way a step may depend on its state. */
const requests: Record<string, DrawInput> = {
  ...Object.fromEntries(ORDERS.map((order) => [order, { ...input, order }])),
  "mask_git with noise": { ...input, order: "confidence", confidencePolicy: "mask_git", confidenceDecay: "linear" },
  "interval and decay": { ...input, guidanceInterval: [0.3, 0.6], temperatureDecay: "cosine2", topK: 9, topP: 0.9 },
  "more steps than positions, none": { ...input, steps: 80, schedule: "none" },
};

describe.each(Object.keys(requests))("%s", (name) => {
  const request = requests[name] ?? input;

  test("any state goes on exactly, through bytes, in a fresh stepper", async () => {
    const { all, result } = await states(request);
    const last = all.at(-1);
    for (const [k, state] of all.entries()) {
      const copy = decodeDrawState(encodeDrawState(state));
      expect(copy).toEqual(state);
      const model = fakeModel();
      const stepper = await draw.open(copy, model);
      const delta = await stepper.step();
      stepper.close();
      if (delta === null) expect(k).toBe(all.length - 1);
      else expect(draw.fold(copy, delta)).toEqual(all[k + 1]);
    }
    for (const k of [0, 3, 7]) {
      const copy = decodeDrawState(encodeDrawState(all[k] ?? draw.start(request, fakeModel())));
      const states: DrawState[] = [];
      expect(await continueHere(draw, copy, fakeModel(), { onStep: (state) => states.push(state) })).toEqual(result);
      expect(states.at(-1)).toEqual(last);
    }
  });

  test("every position is revealed once, by the counts of the schedule, with a code", async () => {
    const { all } = await states(request);
    const last = all.at(-1);
    if (last === undefined) throw new Error("no state");
    expect(last.counts).toEqual([]);
    expect(maskedPositions(last.sequence).length).toBe(0);
    for (const [k, state] of all.entries()) {
      // The last record holds every earlier state.
      expect(cutBack(last.sequence, k)).toEqual(state.sequence);
      if (k === 0) continue;
      const revealed = last.sequence.revealedAt.filter((at) => at === k).length;
      expect(revealed).toBe(all[0]?.counts[k - 1]);
    }
    expect(Math.max(...last.sequence.ids)).toBeLessThan(61);
  });
});

test("a known order asks for logits only where it reveals; confidence asks for all that is masked", async () => {
  for (const order of ORDERS) {
    const model = fakeModel();
    const all = [draw.start({ ...input, order }, model)];
    await runHere(draw, { ...input, order }, model, { onStep: (state) => all.push(state) });
    model.calls.forEach(({ positions }, k) => {
      const [before, after] = [all[k], all[k + 1]];
      if (before === undefined || after === undefined) throw new Error("a state is missing");
      const expected = order === "confidence" ? maskedPositions(before.sequence).length : before.counts[0];
      expect(positions.length, `${order} step ${k + 1}`).toBe(expected);
      for (const position of positions) expect(before.sequence.revealedAt[position]).toBe(0);
    });
  }
});

test("the unconditional row is computed only where guidance acts", async () => {
  const rows = async (options: Partial<DrawInput>) => {
    const model = fakeModel();
    await runHere(draw, { ...input, steps: 10, ...options }, model);
    return model.calls.map((call) => call.rows);
  };
  expect(await rows({ guidance: 0 })).toEqual(Array(10).fill(1));
  expect(await rows({ guidance: 2 })).toEqual(Array(10).fill(2));
  expect(await rows({ guidance: 2, guidanceInterval: [0.2, 0.45] })).toEqual([1, 2, 2, 2, 1, 1, 1, 1, 1, 1]);
});

test("seed, prompt, guidance, temperature, order and micro each change the picture; nothing else does", async () => {
  const ids = async (change: Partial<DrawInput>) => {
    const { all } = await states({ ...input, ...change });
    return all.at(-1)?.sequence.ids.join();
  };
  const base = await ids({});
  expect(await ids({})).toBe(base);
  expect(await ids({ size: "128x128" })).toBe(base);
  for (
    const change of [
      { seed: 6 },
      { seed: 5 + 2 ** 32 },
      { prompt: "a photo of a cat" },
      { guidance: 1 },
      { temperature: 0.6 },
      { order: "halton" as const },
      { micro: "" },
      { topK: 3, topP: 0.9 },
    ]
  ) expect(await ids(change), JSON.stringify(change)).not.toBe(base);
});

test("temperature 0 does not look at the seed", async () => {
  const at = async (seed: number) => (await states({ ...input, seed, temperature: 0 })).all.at(-1)?.sequence;
  expect(await at(1)).toEqual(await at(2));
});

test("counts may be replaced: a merged run is whole in fewer steps and equals its own replay", async () => {
  const { all } = await states(input);
  const state = all[4];
  if (state === undefined) throw new Error("no state");
  const [a = 0, b = 0, ...rest] = state.counts;
  const merged = { ...state, counts: [a + b, ...rest] };
  const model = fakeModel();
  const result = await continueHere(draw, merged, model);
  expect(model.calls.length).toBe(state.counts.length - 1);
  expect(await continueHere(draw, decodeDrawState(encodeDrawState(merged)), fakeModel())).toEqual(result);
});

test("the result decodes the ids and says what was used", async () => {
  const { all, result } = await states({ prompt: "a photo of a dog", seed: 5 });
  expect([...result.picture.data]).toEqual([...(all.at(-1)?.sequence.ids ?? [])]);
  expect(result.settings).toEqual({ ...DRAW_DEFAULTS, prompt: "a photo of a dog", seed: 5 });
  expect(result.imageTokens).toBe(64);
  expect(result.promptTokens).toBeGreaterThan(20);
});

test("fold is pure, and refuses a delta that does not follow", async () => {
  const model = fakeModel();
  const state = draw.start(input, model);
  const before = encodeDrawState(state);
  const stepper = await draw.open(state, model);
  const delta = await stepper.step();
  if (delta === null) throw new Error("no step");
  const next = draw.fold(state, delta);
  expect(encodeDrawState(state)).toEqual(before);
  expect(() => draw.fold(next, delta)).toThrow(RangeError);
  expect(() => draw.fold(state, { ...delta, ids: delta.ids.slice(1) })).toThrow(RangeError);
  expect(() => draw.fold(state, { ...delta, step: 2 })).toThrow(RangeError);
  const twice = delta.positions.slice().fill(delta.positions[0] ?? 0);
  if (twice.length > 1) expect(() => draw.fold(next, { ...delta, step: 2, positions: twice })).toThrow(RangeError);
  await expect(draw.result(next, model)).rejects.toThrow(RangeError);
});

test("a failed step may be tried again and gives the same", async () => {
  const { all } = await states(input);
  const model = fakeModel();
  const stepper = await draw.open(draw.start(input, model), {
    ...model,
    draw: (() => {
      let failed = false;
      return (...args: Parameters<typeof model.draw>) => {
        if (failed) return model.draw(...args);
        failed = true;
        return Promise.reject(new Error("device lost"));
      };
    })(),
  });
  await expect(stepper.step()).rejects.toThrow("device lost");
  const delta = await stepper.step();
  if (delta === null) throw new Error("no step");
  expect(draw.fold(draw.start(input, model), delta)).toEqual(all[1]);
  stepper.close();
  await expect(stepper.step()).rejects.toThrow("closed");
  expect(model.open()).toBe(0);
});

test("an aborted run stops before its next step and lets go of its prompt", async () => {
  const model = fakeModel();
  const controller = new AbortController();
  const run = runHere(draw, input, model, {
    signal: controller.signal,
    onStep: ({ step }) => step === 3 && controller.abort(new Error("gone")),
  });
  await expect(run).rejects.toThrow("gone");
  expect(model.calls.length).toBe(3);
  expect(model.open()).toBe(0);
});

test.each([
  [{ seed: 1 }, "prompt_missing", "prompt"],
  [{ ...input, seed: -1 }, "seed_out_of_range", "seed"],
  [{ ...input, seed: 2 ** 53 }, "seed_out_of_range", "seed"],
  [{ ...input, steps: 0 }, "steps_out_of_range", "steps"],
  [{ ...input, steps: 257 }, "steps_out_of_range", "steps"],
  [{ ...input, steps: 1.5 }, "steps_out_of_range", "steps"],
  [{ ...input, guidance: 20.5 }, "guidance_out_of_range", "guidance"],
  [{ ...input, guidanceInterval: [0.5, 0.4] }, "guidance_interval_invalid", "guidanceInterval"],
  [{ ...input, size: 256 }, "size_unsupported", "size"],
  [{ ...input, temperature: NaN }, "temperature_out_of_range", "temperature"],
  [{ ...input, temperatureDecay: "slow" }, "decay_unknown", "temperatureDecay"],
  [{ ...input, temperatureMinimum: 2 }, "minimum_out_of_range", "temperatureMinimum"],
  [{ ...input, confidencePolicy: "least" }, "confidence_policy_unknown", "confidencePolicy"],
  [{ ...input, confidenceTemperature: 101 }, "confidence_temperature_out_of_range", "confidenceTemperature"],
  [{ ...input, confidenceMinimum: -1 }, "minimum_out_of_range", "confidenceMinimum"],
  [{ ...input, order: "spiral" }, "order_unknown", "order"],
  [{ ...input, confidenceDecay: "exp" }, "decay_unknown", "confidenceDecay"],
  [{ ...input, schedule: "quadratic" }, "schedule_unknown", "schedule"],
  [{ ...input, shift: 0 }, "shift_out_of_range", "shift"],
  [{ ...input, topP: 0, topK: 1 }, "top_p_out_of_range", "topP"],
  [{ ...input, topP: 1, topK: -1 }, "top_k_out_of_range", "topK"],
  [{ ...input, micro: "x".repeat(401) }, "micro_too_long", "micro"],
  [{ ...input, plan: 7 }, "plan_invalid", "plan"],
  [{ ...input, cfg: 3 }, "unknown_parameter", undefined],
  ["a dog", "invalid_input", undefined],
])("input %j is refused with %s", (value, code, param) => {
  expect(() => parseDrawInput(value)).toThrow(expect.objectContaining({ code, param }));
});

test.each<[Partial<DrawInput>, string]>([
  [{ prompt: "  " }, "prompt_empty"],
  [{ prompt: "a <|eot_id|> b" }, "prompt_reserved"],
  [{ prompt: "dog ".repeat(500) }, "prompt_too_long"],
  [{ size: "1024x1024" }, "size_unsupported"],
  [{ topK: 5 }, "top_k_needs_top_p"],
  [{ confidenceTemperature: 3 }, "option_unused"],
  [{ schedule: "cosine", shift: 3 }, "option_unused"],
  [{ temperatureMinimum: 0.2 }, "option_unused"],
  [{ guidance: 0, guidanceInterval: [0, 0.5] }, "option_unused"],
])("start refuses %j with %s", (change, code) => {
  const model = fakeModel();
  expect(() => draw.start({ ...input, ...change }, model)).toThrow(expect.objectContaining({ code }));
  expect(drawInput.safeParse({ ...input, ...change }).success).toBe(true);
});

test("options at their default value are accepted where they have no effect", () => {
  const { confidenceTemperature, shift } = DRAW_DEFAULTS;
  const state = draw.start({ ...input, schedule: "cosine", shift, confidenceTemperature }, fakeModel());
  expect(state.settings.schedule).toBe("cosine");
});

test("with a lexicon the prompt is normalised, and unknown words are refused", () => {
  const lexicon = parseLexicon(JSON.stringify({
    classes: [{ name: "dog", plural: "dogs" }],
    colors: [],
    counts: [],
    relations: [],
    grounds: [],
    function_words: ["a", "photo", "of"],
    examples: ["a photo of a dog"],
    max_characters: 100,
  }));
  const small = createDraw({ lexicon });
  expect(small.start({ ...input, prompt: "A photo of a  DOG." }, fakeModel()).settings.prompt).toBe("a photo of a dog");
  expect(() => small.start({ ...input, prompt: "a photo of a unicorn" }, fakeModel())).toThrow(
    expect.objectContaining({ code: "unknown_words" }),
  );
});
