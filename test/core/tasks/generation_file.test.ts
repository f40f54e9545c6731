import { expect, test } from "vitest";
import { TASKS, tasksFor } from "../../../core/tasks/all_tasks.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { DRAW_DEFAULTS } from "../../../core/tasks/draw_defaults.ts";
import { parseGenerationFile } from "../../../core/tasks/generation_file.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import { fakeModel } from "./fake_model.ts";

test("a file that says nothing, or none, leaves the defaults", () => {
  expect(parseGenerationFile({})).toEqual({ generation: DRAW_DEFAULTS, tasks: TASKS, feedback: true });
});

test("its generation block sets what draws use", async () => {
  const { generation } = parseGenerationFile({ generation: { steps: 7, guidance: 3, order: "random" } });
  expect(generation).toEqual({ ...DRAW_DEFAULTS, steps: 7, guidance: 3, order: "random" });
  const model = fakeModel();
  const { settings } = await runHere(createDraw({ defaults: generation }), { prompt: "a dog", seed: 1 }, model);
  expect([settings.steps, settings.guidance, settings.order, model.calls.length]).toEqual([7, 3, "random", 7]);
});

test("it says for which tasks the weights were trained, among those that they can", () => {
  const { tasks, feedback } = parseGenerationFile({ tasks: ["plan", "draw"], feedback: false });
  expect(tasksFor({ words: true, sight: true }, tasks)).toEqual(["draw", "plan"]);
  expect(tasksFor({ words: false, sight: true }, tasks)).toEqual(["draw"]);
  expect(feedback).toBe(false);
});

test.each([
  ["no object", null, "expected object"],
  ["a list", [], "expected object"],
  ["an empty block", { generation: null }, "generation: "],
  ["an option out of range", { generation: { steps: 0 } }, "generation.steps: "],
  ["an option that no draw has", { generation: { speed: 1 } }, "speed"],
  ["no task", { tasks: [] }, "tasks: "],
  ["a task that there is not", { tasks: ["paint"] }, "tasks.0: "],
  ["no list of tasks", { tasks: "draw" }, "tasks: "],
  ["no true or false", { feedback: 0 }, "feedback: "],
  ["a misspelt key", { feedbak: false }, "feedbak"],
])("%s is refused", (_, json, told) => {
  expect(() => parseGenerationFile(json)).toThrow(
    expect.objectContaining({ code: "generation_invalid", message: expect.stringContaining(told) }),
  );
});
