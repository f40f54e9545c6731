/** Cancel, pause, deadlines and budgets, which take effect at a step. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { keys } from "../../../core/runs/keys.ts";
import { mergeCounts } from "../../../core/runs/state/budget.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { fakeModel } from "../tasks/fake_model.ts";
import { Bench, INPUT, inState, OWNER } from "./run_bench.ts";
import { statesFrom } from "./steps.ts";
import { tableEngine } from "./table_engine.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("cancel: the step in flight is the last", async () => {
  const id = await bench.create();
  const gate = Promise.withResolvers<void>();
  let blocked = false;
  const onStep = ({ step }: DrawState) => {
    if (step !== 3) return;
    blocked = true;
    return gate.promise;
  };
  const engine = tableEngine({ onStep });
  bench.worker({ engine });
  await bench.until(id, () => blocked);
  expect((await bench.runs.cancel(OWNER, id)).state).toBe("running");
  gate.resolve();
  expect((await bench.until(id, inState("cancelled"))).step).toBe(4);
  expect(engine.seen.steps).toBe(4);
  expect((await bench.runs.cancel(OWNER, id)).state).toBe("cancelled");
});

test("cancel and pause of what waits need no worker; resume puts it back", async () => {
  const [cancelled, paused] = [await bench.create(), await bench.create()];
  expect((await bench.runs.cancel(OWNER, cancelled)).state).toBe("cancelled");
  expect((await bench.runs.pause(OWNER, paused)).state).toBe("paused");
  expect((await bench.store.list({ prefix: keys.allPending })).entries).toEqual([]);
  expect((await bench.runs.resume(OWNER, paused)).state).toBe("queued");
  bench.worker();
  await bench.until(paused, inState("succeeded"));
  await bench.expectWhole(paused);
  await expect(bench.runs.pause(OWNER, paused)).rejects.toMatchObject({ code: "run_over" });
});

test("pause in the middle, resume elsewhere: the same picture", async () => {
  const id = await bench.create();
  bench.worker({ engine: tableEngine({ stepMilliseconds: 100 }) });
  await bench.until(id, ({ step }) => step >= 3);
  await bench.runs.pause(OWNER, id);
  const { step } = await bench.until(id, inState("paused"));
  expect(step).toBeLessThan(12);
  expect(await bench.store.get(keys.lease(id))).toBeNull();
  await bench.workers[0]?.stop();
  bench.worker();
  await bench.runs.resume(OWNER, id);
  await bench.until(id, inState("succeeded"));
  await bench.expectWhole(id);
});

test("a deadline that passes ends the run as expired", async () => {
  const id = await bench.create({ deadline_ms: 120 });
  bench.worker({ engine: tableEngine({ stepMilliseconds: 40 }) });
  const record = await bench.until(id, inState("expired"));
  expect(record.step).toBeLessThan(12);
  expect((await bench.events(id)).at(-1)?.type).toBe("run.expired");
});

test("time at work is bounded, waiting is not; a retry goes on from the last step, with that time anew", async () => {
  const id = await bench.create({ work_ms: 250, deadline_ms: 60_000 });
  const first = await bench.runs.get(OWNER, id);
  await new Promise((resolve) => setTimeout(resolve, 300));
  bench.worker({ engine: tableEngine({ stepMilliseconds: 60 }) });
  const expired = await bench.until(id, inState("expired"));
  expect(expired.step).toBeGreaterThan(0);
  expect(expired.step).toBeLessThan(12);
  const again = await bench.runs.retry(OWNER, id);
  expect(again).toMatchObject({ id, state: "queued", started_at: null, finished_at: null, expires_at: null });
  expect(again.deadline).toBeGreaterThan(first.deadline ?? Infinity);
  for (let step = expired.step;;) {
    const next = await bench.until(id, (record) => record.state === "expired" || record.state === "succeeded");
    expect(next.step).toBeGreaterThan(step);
    if (next.state === "succeeded") break;
    step = next.step;
    await bench.runs.retry(OWNER, id);
  }
  await bench.expectWhole(id);
  await expect(bench.runs.retry(OWNER, id)).rejects.toMatchObject({ code: "run_not_failed", status: 409 });
});

test("a budget merges the counts: whole in time, and its recorded counts replay exactly", async () => {
  const id = await bench.create({ input: { ...INPUT, steps: 60 }, budget_ms: 6000 });
  bench.worker({ engine: tableEngine({ stepMilliseconds: 150 }) });
  const record = await bench.until(id, inState("succeeded"));
  expect((record.finished_at ?? 0) - record.created_at).toBeLessThan(8000);
  expect(record.steps).toBeLessThan(45);
  expect(record.merges.length).toBeGreaterThan(0);
  const task = createDraw();
  const model = fakeModel();
  let state: DrawState = task.start({ ...INPUT, steps: 60 }, model);
  for (const { step, counts } of record.merges) {
    state = (await statesFrom(task, state, model))[step - state.step] as DrawState;
    state = { ...state, counts };
  }
  const last = (await statesFrom(task, state, model)).at(-1) as DrawState;
  await bench.expectWhole(id, model.decode(last.sequence.ids as Uint16Array).then(({ data }) => data));
  expect(mergeCounts([1, 2, 3], 1)).toEqual([6]);
});
