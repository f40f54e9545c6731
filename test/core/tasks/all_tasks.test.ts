import { expect, test } from "vitest";
import { refuseTask, tasksFor } from "../../../core/tasks/all_tasks.ts";

test("weights say what can be asked: words for answers and plans, sight for edits, both to point and to reflect", () => {
  expect(tasksFor({ words: false, sight: false })).toEqual(["draw"]);
  expect(tasksFor({ words: true, sight: false })).toEqual(["draw", "answer", "plan"]);
  expect(tasksFor({ words: false, sight: true })).toEqual(["draw", "edit"]);
  expect(tasksFor({ words: true, sight: true })).toEqual(["draw", "answer", "ground", "edit", "plan", "reflect"]);
});

test.each([
  ["plan", "the words that it takes"],
  ["edit", "the sight that it takes"],
  ["reflect", "the words or the sight that it takes"],
])("%s is refused by what is missing", (task, missing) => {
  expect(() => refuseTask(task, ["draw"], "scenes")).toThrow(
    expect.objectContaining({ code: "task_not_supported", message: expect.stringContaining(missing), param: "task" }),
  );
  expect(refuseTask(task, ["draw", "plan", "edit", "reflect"], "scenes")).toBe(task);
  expect(() => refuseTask(`${task}s`, ["draw"], "scenes")).toThrow(expect.objectContaining({ code: "task_unknown" }));
});
