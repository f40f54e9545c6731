import { expect, test } from "vitest";
import { jobOf, jobSchema } from "../../../../core/runs/views/job.ts";
import { errorLine, progressLine } from "../../../../core/runs/views/output.ts";
import {
  cogPrediction,
  cogPredictionSchema,
  replicatePrediction,
  replicatePredictionSchema,
} from "../../../../core/runs/views/prediction.ts";
import type { RunRecord, RunState } from "../../../../core/runs/record.ts";
import { record } from "../webhooks/receiver.ts";

const PARTS = { model: "unmask/scenes", version: "scenes", base: "https://a.example/replicate/v1" };

/** A run in each state, with the times that it has there. */
function at(state: RunState, started: boolean, ended: boolean): RunRecord {
  return record("run_1", {
    state,
    created_at: 1000,
    started_at: started ? 3000 : null,
    finished_at: ended ? 7500 : null,
    error: state === "failed" ? { code: "worker_lost", message: "it was lost", fix: "start it again" } : null,
  });
}

test("each state has its word in each protocol", () => {
  for (
    const [state, started, ended, cog, replicate, job] of [
      ["queued", false, false, "starting", "starting", "IN_QUEUE"],
      ["running", true, false, "processing", "processing", "IN_PROGRESS"],
      ["paused", true, false, "processing", "processing", "IN_PROGRESS"],
      ["succeeded", true, true, "succeeded", "succeeded", "COMPLETED"],
      ["failed", true, true, "failed", "failed", "FAILED"],
      ["cancelled", true, true, "canceled", "canceled", "CANCELLED"],
      ["expired", true, true, "canceled", "canceled", "TIMED_OUT"],
      ["expired", false, true, "canceled", "aborted", "TIMED_OUT"],
    ] as const
  ) {
    const run = at(state, started, ended);
    const output = state === "succeeded" ? "data:," : null;
    const views = [cogPrediction(run, output, "mine"), replicatePrediction(run, output, PARTS), jobOf(run, output)];
    expect(views.map(({ status }) => status), `${state} ${started}`).toEqual([cog, replicate, job]);
    cogPredictionSchema.strict().parse(views[0]);
    replicatePredictionSchema.strict().parse(views[1]);
    jobSchema.strict().parse(views[2]);
  }
});

test("times: seconds for predictions, milliseconds for jobs, none before they are known", () => {
  const done = at("succeeded", true, true);
  expect(cogPrediction(done, null).metrics).toEqual({ predict_time: 4.5 });
  expect(replicatePrediction(done, null, PARTS).metrics).toEqual({ predict_time: 4.5, total_time: 6.5 });
  expect(jobOf(done, null)).toMatchObject({ delayTime: 2000, executionTime: 4500 });
  expect(cogPrediction(at("running", true, false), null).metrics).toEqual({});
  expect(jobOf(at("queued", false, false), null)).not.toHaveProperty("delayTime");
});

test("errors say what to do; progress is what tqdm writes", () => {
  expect(errorLine(at("failed", true, true))).toBe("it was lost (worker_lost); start it again");
  expect(errorLine(at("expired", true, true))).toMatch(/deadline/);
  expect(errorLine(at("cancelled", true, true))).toBeNull();
  expect(progressLine({ step: 0, steps: 0 })).toBe("");
  expect(progressLine({ step: 5, steps: 8 })).toBe("62%|██████    | 5/8\n");
});
