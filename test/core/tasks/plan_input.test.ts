/** Plans that callers give: what the model reads of them, and what is refused. */
import { describe, expect, test } from "vitest";
import { parseLexicon } from "../../../core/model/lexicon.ts";
import { TOKENS } from "../../../core/model/chat_template.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { type DrawInput, parseDrawInput } from "../../../core/tasks/draw_input.ts";
import { decodeDrawState, encodeDrawState } from "../../../core/tasks/draw_state.ts";
import { drawPlan, editPlan, type PlanFrame, type PlanInput } from "../../../core/tasks/plan_input.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import { fakeModel } from "./fake_model.ts";
import { readFileSync } from "node:fs";

const frame: PlanFrame = { canvas: { width: 256, height: 256 }, locTokens: 1025, lexicon: null };
const boxes: PlanInput = [
  { label: "red car", xyxy: [32, 64, 160, 192] },
  { label: "blue dog", xyxy: [160, 0, 256, 96] },
];
const text = "Sure I should place the objects in the following manner " +
  "<box_p> red car </box_p><LOC_BEGIN><LOC_128><LOC_256><LOC_640><LOC_768><LOC_END>, " +
  "<box_p> blue dog </box_p><LOC_BEGIN><LOC_640><LOC_0><LOC_1024><LOC_384><LOC_END><|reserved_token_7|>";

describe("boxes and text", () => {
  test("are read the same, as training writes plans", () => {
    expect(drawPlan(boxes, frame)).toBe(text);
    expect(drawPlan(text, frame)).toBe(text);
    // As a run's result has it: without control tokens.
    expect(drawPlan(text.replace(TOKENS.expand, ""), frame)).toBe(text);
  });

  test("of an edit begin with a verb, and are in pixels of its picture", () => {
    const wide = { ...frame, canvas: { width: 200, height: 100 } };
    const { text, objects } = editPlan([{ label: "dog", xyxy: [0, 0, 100, 100] }], "removing", wide);
    expect(text).toBe(
      "Sure I should consider removing the objects in these locations : " +
        "<box_p> dog </box_p><LOC_BEGIN><LOC_0><LOC_256><LOC_512><LOC_768><LOC_END><|reserved_token_7|>",
    );
    expect(objects).toEqual([{ phrase: "dog", boxes: [[0, 256, 512, 768]] }]);
    expect(editPlan(text, undefined, wide)).toEqual({ text, objects });
    expect(editPlan(boxes, undefined, frame).text).toContain("consider edit the objects");
    expect(() => editPlan(text, "adding", wide)).toThrow(expect.objectContaining({ code: "option_unused" }));
    expect(() => editPlan(drawPlan(boxes, frame), undefined, frame)).toThrow(
      expect.objectContaining({ code: "plan_verb_missing" }),
    );
  });
});

describe("refusals", () => {
  const box = (xyxy: readonly [number, number, number, number], label = "dog"): PlanInput => [
    { label, xyxy: [...xyxy] },
  ];
  test.each<[string, PlanInput, string]>([
    ["no box", [], "plan_empty"],
    ["text without a box", "Sure", "plan_empty"],
    ["left of the canvas", box([-1, 0, 10, 10]), "plan_outside_canvas"],
    ["right of the canvas", box([0, 0, 257, 10]), "plan_outside_canvas"],
    ["below the canvas", box([0, 0, 10, 300]), "plan_outside_canvas"],
    ["no width", box([5, 0, 5, 10]), "plan_box_invalid"],
    ["corners the wrong way round", box([0, 20, 10, 10]), "plan_box_invalid"],
    ["no label", box([0, 0, 10, 10], "  "), "plan_label_empty"],
    ["a label of control tokens", box([0, 0, 10, 10], "a <|eot_id|>"), "plan_label_reserved"],
    ["half a box", text.replace("<LOC_384><LOC_END>", ""), "plan_malformed"],
    ["a LOC number too large", text.replace("<LOC_384>", "<LOC_1025>"), "plan_malformed"],
  ])("%s", (_, plan, code) => {
    expect(() => drawPlan(plan, frame)).toThrow(expect.objectContaining({ code, param: "plan" }));
  });

  test("a label outside the model's words, in boxes and in text", () => {
    const lexicon = parseLexicon(readFileSync("models/scenes/lexicon.json", "utf8"));
    const unknown = expect.objectContaining({ code: "plan_label_unknown_words", param: "plan" });
    expect(() => drawPlan(box([0, 0, 10, 10], "a dragon"), { ...frame, lexicon })).toThrow(unknown);
    expect(() => drawPlan(text.replace("dog", "dragon"), { ...frame, lexicon })).toThrow(unknown);
    expect(drawPlan(text, { ...frame, lexicon })).toBe(text);
    // The ground is a matter of edits.
    const ground = box([0, 0, 256, 256], "beige ground");
    expect(editPlan(ground, "adjusting", { ...frame, lexicon }).objects).toMatchObject([{ phrase: "beige ground" }]);
    expect(() => drawPlan(ground, { ...frame, lexicon })).toThrow(unknown);
    expect(() => editPlan(box([0, 0, 9, 9], "a dragon"), "adding", { ...frame, lexicon })).toThrow(unknown);
  });

  test("what is no plan at all", () => {
    for (
      const plan of [5, [{ label: "dog" }], [{ label: "dog", xyxy: [0, 0, 1] }], [{ label: 1, xyxy: [0, 0, 1, 1] }]]
    ) {
      expect(() => parseDrawInput({ prompt: "a dog", seed: 1, plan })).toThrow(
        expect.objectContaining({ code: "plan_invalid", param: "plan" }),
      );
    }
  });
});

describe("a draw with a plan", () => {
  const draw = createDraw();
  const plan: PlanInput = [{ label: "dog", xyxy: [0, 0, 64, 64] }];
  const input: DrawInput = { prompt: "a photo of a dog", seed: 5, steps: 4 };

  test("draws otherwise than without, by boxes and by text alike", async () => {
    const drawn = async (more: Partial<DrawInput>) =>
      [...(await runHere(draw, { ...input, ...more }, fakeModel())).picture.data].join();
    const [plain, planned] = [await drawn({}), await drawn({ plan })];
    const moved = await drawn({ plan: [{ label: "dog", xyxy: [64, 0, 128, 64] }] });
    expect(new Set([plain, planned, moved]).size).toBe(3);
    // locTokens of this table are 1025, and its canvas has 128 pixels.
    const words = "Sure <box_p> dog </box_p><LOC_BEGIN><LOC_0><LOC_0><LOC_512><LOC_512><LOC_END>";
    expect(await drawn({ plan: words })).toBe(planned);
  });

  test("keeps it in its state, over bytes; boxes are in pixels of the picture to draw", () => {
    const state = draw.start({ ...input, plan }, fakeModel());
    expect(state.settings.plan).toContain("<LOC_0><LOC_0><LOC_512><LOC_512>");
    expect(decodeDrawState(encodeDrawState(state))).toEqual(state);
    expect(draw.start(input, fakeModel()).settings).not.toHaveProperty("plan");
    expect(() => draw.start({ ...input, plan: [{ label: "dog", xyxy: [0, 0, 129, 64] }] }, fakeModel())).toThrow(
      expect.objectContaining({ code: "plan_outside_canvas" }),
    );
  });

  test("needs room for it", () => {
    const many: PlanInput = Array.from({ length: 64 }, () => ({ label: "dog", xyxy: [0, 0, 64, 64] }));
    expect(() => draw.start({ ...input, plan: many }, fakeModel())).toThrow(
      expect.objectContaining({ code: "prompt_too_long" }),
    );
  });
});
