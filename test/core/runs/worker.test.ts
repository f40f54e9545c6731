import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { UnmaskError } from "../../../core/errors.ts";
import { eventsAfter, follow } from "../../../core/runs/follow.ts";
import { keys } from "../../../core/runs/keys.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import type { Lease, RunEvent, RunRecord, RunState } from "../../../core/runs/record.ts";
import { Runs, type RunsOptions } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { mergeCounts } from "../../../core/runs/state/budget.ts";
import { orphanedParts } from "../../../core/runs/store/sweep.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Commit, Store } from "../../../core/runs/store/types.ts";
import { Worker, type WorkerOptions } from "../../../core/runs/worker.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { fakeModel } from "../tasks/fake_model.ts";
import { statesFrom } from "./steps.ts";
import { plainFile, tableEngine, undisturbed } from "./table_engine.ts";

const OWNER = "somebody";
const input = { prompt: "a dog", seed: 3, steps: 12 };
const LEASE = 400;

let store: Store;
let ledger: Ledger;
let runs: Runs;
let workers: Worker[];

beforeEach(async () => {
  store = await openMemory();
  ledger = new Ledger(store);
  runs = new Runs({ ledger, kinds: [drawKind], onControl });
  workers = [];
});

/** As in one process: whoever holds the run is told at once. */
const onControl: NonNullable<RunsOptions["onControl"]> = (id, control) => {
  for (const worker of workers) worker.obey(id, control);
};

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await store.close();
});

function worker(options: Partial<WorkerOptions> = {}): Worker {
  const made = new Worker({
    ledger,
    engine: tableEngine({ stepMilliseconds: 5 }),
    kinds: [drawKind],
    encode: plainFile,
    lease: LEASE,
    poll: 20,
    spacing: 50,
    backoff: 50,
    ...options,
  });
  workers.push(made);
  made.start();
  return made;
}

async function until(id: string, wanted: (record: RunRecord) => boolean): Promise<RunRecord> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const record = await runs.get(OWNER, id);
    if (wanted(record)) return record;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error(`${id} did not get there: ${JSON.stringify(await runs.get(OWNER, id))}`);
}

const inState = (state: RunState) => (record: RunRecord) => record.state === state;

async function events(id: string): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for await (const event of eventsAfter(ledger, OWNER, id, 0)) all.push(event);
  return all;
}

async function create(changes: Partial<Parameters<Runs["create"]>[1]> = {}): Promise<string> {
  return (await runs.create(OWNER, { task: "draw", input, ...changes })).record.id;
}

/** What is true of every run that has ended. */
async function expectWhole(id: string, file = undisturbed(input)): Promise<void> {
  const record = await runs.get(OWNER, id);
  expect(record.state).toBe("succeeded");
  expect((await runs.result(OWNER, id)).bytes).toEqual(await file);
  const all = await events(id);
  expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => i + 1));
  expect(record.sequence).toBe(all.length);
  const steps = all.filter(({ type }) => type === "run.step").map(({ data }) => data.step);
  expect(steps).toEqual(steps.map((_, i) => i + 1));
  expect(steps).toHaveLength(record.steps);
  expect(await store.get(keys.lease(id))).toBeNull();
  expect((await store.list({ prefix: keys.allPending })).entries).toEqual([]);
  expect(await orphanedParts(store)).toEqual([]);
}

test("a run is drawn, with every step in its log, as it would be alone", async () => {
  const id = await create();
  expect((await runs.get(OWNER, id)).state).toBe("queued");
  worker();
  const record = await until(id, inState("succeeded"));
  await expectWhole(id);
  expect(record).toMatchObject({ step: 12, steps: 12, claims: 1, exact: true, fingerprints: ["table"], place: null });
  expect((await events(id)).at(-1)?.type).toBe("run.succeeded");
});

test("a killed worker's run goes on elsewhere within the lease and a second, bit for bit", async () => {
  const id = await create();
  const first = worker({ engine: tableEngine({ stepMilliseconds: 25 }) });
  await until(id, ({ step }) => step >= 3);
  first.kill();
  const killed = performance.now();
  worker();
  await until(id, ({ claims }) => claims === 2);
  expect(performance.now() - killed).toBeLessThan(LEASE + 1000);
  await until(id, inState("succeeded"));
  await expectWhole(id);
  expect((await events(id)).filter(({ type }) => type === "run.started").map(({ data }) => data.reclaimed))
    .toEqual([false, true]);
});

test("a worker that stalls past its lease and wakes writes nothing more", async () => {
  const id = await create();
  const gate = Promise.withResolvers<void>();
  let blocked = false;
  const stalled = worker({
    lease: 60_000, // its heartbeat is too slow for the other's idea of a lease: the stall
    engine: tableEngine({
      onStep: async ({ step }) => {
        if (step !== 4) return;
        blocked = true;
        await gate.promise;
      },
    }),
  });
  await until(id, () => blocked);
  worker();
  await until(id, inState("succeeded"));
  const before = await store.get(keys.run(OWNER, id));
  gate.resolve();
  await expect.poll(() => stalled.active).toBe(0);
  expect(await store.get(keys.run(OWNER, id))).toEqual(before);
  await expectWhole(id);
});

test("a stopping worker hands its runs back, and they go first and at once", async () => {
  const slow = await create();
  const first = worker({ engine: tableEngine({ stepMilliseconds: 20 }), slots: 1 });
  await until(slow, ({ step }) => step >= 2);
  const other = await create({ priority: 9 });
  await first.stop();
  expect(await runs.get(OWNER, slow)).toMatchObject({ state: "queued", attempts: 0, place: [0, expect.any(Number)] });
  expect(await store.get(keys.lease(slow))).toBeNull();
  worker({ slots: 1, poll: 10_000 });
  await until(other, inState("succeeded"));
  await expectWhole(slow);
  const started = async (id: string) => (await events(id)).findLast(({ type }) => type === "run.started")?.time ?? 0;
  expect(await started(slow)).toBeLessThanOrEqual(await started(other));
});

test("priorities order the queue; short runs of another owner do not wait for long ones", async () => {
  const order: string[] = [];
  const ids = await Promise.all([1, 9, 5].map((priority) => create({ priority })));
  worker({ slots: 1, log: (line) => line.event === "claimed" && order.push(String(line.run)) });
  await Promise.all(ids.map((id) => until(id, inState("succeeded"))));
  expect(order).toEqual([ids[1], ids[2], ids[0]]);
});

test("owners take turns, then their runs", async () => {
  const engine = tableEngine();
  for (const [owner, prompt] of [["a", "one"], ["a", "two"], ["b", "three"]] as const) {
    await runs.create(owner, { task: "draw", input: { prompt, seed: 1, steps: 8 } });
  }
  const order = engine.seen.order;
  worker({ engine });
  await expect.poll(() => engine.seen.steps, { timeout: 10_000 }).toBe(24);
  const all = order.indexOf("three");
  const share = order.slice(all, all + 8);
  expect(share.filter((prompt) => prompt === "three").length).toBeGreaterThanOrEqual(3);
});

describe("control at the step", () => {
  test("cancel: the step in flight is the last", async () => {
    const id = await create();
    const gate = Promise.withResolvers<void>();
    let blocked = false;
    const onStep = ({ step }: DrawState) => {
      if (step !== 3) return;
      blocked = true;
      return gate.promise;
    };
    const engine = tableEngine({ onStep });
    worker({ engine });
    await until(id, () => blocked);
    expect((await runs.cancel(OWNER, id)).state).toBe("running");
    gate.resolve();
    expect((await until(id, inState("cancelled"))).step).toBe(4);
    expect(engine.seen.steps).toBe(4);
    expect((await runs.cancel(OWNER, id)).state).toBe("cancelled");
  });

  test("cancel and pause of what waits need no worker; resume puts it back", async () => {
    const [cancelled, paused] = [await create(), await create()];
    expect((await runs.cancel(OWNER, cancelled)).state).toBe("cancelled");
    expect((await runs.pause(OWNER, paused)).state).toBe("paused");
    expect((await store.list({ prefix: keys.allPending })).entries).toEqual([]);
    expect((await runs.resume(OWNER, paused)).state).toBe("queued");
    worker();
    await until(paused, inState("succeeded"));
    await expectWhole(paused);
    await expect(runs.pause(OWNER, paused)).rejects.toMatchObject({ code: "run_over" });
  });

  test("pause in the middle, resume elsewhere: the same picture", async () => {
    const id = await create();
    worker({ engine: tableEngine({ stepMilliseconds: 100 }) });
    await until(id, ({ step }) => step >= 3);
    await runs.pause(OWNER, id);
    const { step } = await until(id, inState("paused"));
    expect(step).toBeLessThan(12);
    expect(await store.get(keys.lease(id))).toBeNull();
    await workers[0]?.stop();
    worker();
    await runs.resume(OWNER, id);
    await until(id, inState("succeeded"));
    await expectWhole(id);
  });

  test("a deadline that passes ends the run as expired", async () => {
    const id = await create({ deadline_ms: 120 });
    worker({ engine: tableEngine({ stepMilliseconds: 40 }) });
    const record = await until(id, inState("expired"));
    expect(record.step).toBeLessThan(12);
    expect((await events(id)).at(-1)?.type).toBe("run.expired");
  });

  test("time at work is bounded, waiting is not; a retry goes on from the last step, with that time anew", async () => {
    const id = await create({ work_ms: 250, deadline_ms: 60_000 });
    const first = await runs.get(OWNER, id);
    await new Promise((resolve) => setTimeout(resolve, 300));
    worker({ engine: tableEngine({ stepMilliseconds: 60 }) });
    const expired = await until(id, inState("expired"));
    expect(expired.step).toBeGreaterThan(0);
    expect(expired.step).toBeLessThan(12);
    const again = await runs.retry(OWNER, id);
    expect(again).toMatchObject({ id, state: "queued", started_at: null, finished_at: null, expires_at: null });
    expect(again.deadline).toBeGreaterThan(first.deadline ?? Infinity);
    for (let step = expired.step;;) {
      const next = await until(id, (record) => record.state === "expired" || record.state === "succeeded");
      expect(next.step).toBeGreaterThan(step);
      if (next.state === "succeeded") break;
      step = next.step;
      await runs.retry(OWNER, id);
    }
    await expectWhole(id);
    await expect(runs.retry(OWNER, id)).rejects.toMatchObject({ code: "run_not_failed", status: 409 });
  });

  test("a budget merges the counts: whole in time, and its recorded counts replay exactly", async () => {
    const id = await create({ input: { ...input, steps: 60 }, budget_ms: 6000 });
    worker({ engine: tableEngine({ stepMilliseconds: 150 }) });
    const record = await until(id, inState("succeeded"));
    expect((record.finished_at ?? 0) - record.created_at).toBeLessThan(8000);
    expect(record.steps).toBeLessThan(45);
    expect(record.merges.length).toBeGreaterThan(0);
    const task = createDraw();
    const model = fakeModel();
    let state: DrawState = task.start({ ...input, steps: 60 }, model);
    for (const { step, counts } of record.merges) {
      state = (await statesFrom(task, state, model))[step - state.step] as DrawState;
      state = { ...state, counts };
    }
    const last = (await statesFrom(task, state, model)).at(-1) as DrawState;
    await expectWhole(id, model.decode(last.sequence.ids as Uint16Array).then(({ data }) => data));
    expect(mergeCounts([1, 2, 3], 1)).toEqual([6]);
  });
});

describe("what fails", () => {
  test("an input that the model refuses fails at once, with its code", async () => {
    const id = await create({ input: { prompt: "a dog", seed: 1, size: "64x64" } });
    worker();
    expect(await until(id, inState("failed"))).toMatchObject({ claims: 1, error: { code: "size_unsupported" } });
    expect(await store.get(keys.lease(id))).toBeNull();
  });

  test("a fault of the engine is tried again with back-off, then dead-lettered with its error", async () => {
    const id = await create();
    const dead = new UnmaskError({ code: "thread_died", message: "it died", fix: "start it", status: 503 });
    worker({ engine: tableEngine({ onStep: () => Promise.reject(dead) }), maximumAttempts: 3 });
    const record = await until(id, inState("failed"));
    expect(record).toMatchObject({ claims: 3, error: { code: "thread_died" } });
    expect(await store.get(keys.dead(id))).not.toBeNull();
    expect((await events(id)).filter(({ type }) => type === "run.requeued")).toHaveLength(2);
    expect((await events(id)).at(-1)).toMatchObject({ type: "run.failed", data: { dead_letter: true } });
  });

  test("a fault that passes costs nothing: attempts count claims without progress", async () => {
    const id = await create();
    let faults = 0;
    const onStep = ({ step }: DrawState) => {
      if (step % 3 !== 2 || faults++ % 2 === 1) return;
      throw new Error("now and then");
    };
    worker({ engine: tableEngine({ onStep }), maximumAttempts: 2, backoff: 1 });
    await until(id, inState("succeeded"));
    await expectWhole(id);
    expect(faults).toBeGreaterThan(4);
  });

  test.each([false, true])(
    "other numerics, require_exact %s: the run goes on and says so, or is refused",
    async (exact) => {
      const id = await create({ require_exact: exact });
      const gate = Promise.withResolvers<void>();
      const first = worker({ engine: tableEngine({ onStep: ({ step }) => (step === 3 ? gate.promise : undefined) }) });
      await until(id, ({ step }) => step === 3);
      const stopped = first.stop();
      gate.resolve();
      await stopped;
      worker({ engine: tableEngine({ fingerprint: "another" }), maximumAttempts: 2, backoff: 1 });
      const record = await until(id, ({ state }) => state === "succeeded" || state === "failed");
      expect(record).toMatchObject(
        exact
          ? { state: "failed", error: { code: "numerics_differ" }, exact: true }
          : { state: "succeeded", exact: false, fingerprints: ["table", "another"] },
      );
    },
  );

  test("a commit whose answer is lost is found to have landed", async () => {
    let lost = 0;
    const flaky = withCommit(async (commit: Commit) => {
      const result = await store.commit(commit);
      if ((commit.checks?.length ?? 0) > 0 && ++lost % 2 === 0) throw unreachable();
      return result;
    });
    ledger = new Ledger(flaky);
    runs = new Runs({ ledger, kinds: [drawKind] });
    const id = await create();
    worker();
    await until(id, inState("succeeded"));
    await expectWhole(id);
    expect(lost).toBeGreaterThan(5);
  });

  test("a full store: the run stands still, and goes on when there is room", async () => {
    let full = false;
    const bounded = withCommit((commit: Commit) => {
      if (!full) return store.commit(commit);
      return Promise.reject(
        new UnmaskError({ code: "store_full", message: "full", fix: "make room", status: 507 }),
      );
    });
    ledger = new Ledger(bounded);
    runs = new Runs({ ledger, kinds: [drawKind] });
    const id = await create();
    worker({ engine: tableEngine({ stepMilliseconds: 20 }) });
    await until(id, ({ step }) => step >= 2);
    full = true;
    await expect(create()).rejects.toMatchObject({ code: "store_full" });
    await expect.poll(() => workers[0]?.active).toBe(0);
    full = false;
    await until(id, inState("succeeded"));
    await expectWhole(id);
  });
});

test("forks and redraws are runs of their own", async () => {
  const id = await create();
  worker();
  await until(id, inState("succeeded"));
  const decoded = async (run: string) => drawKind.decode(await runs.state(OWNER, run) ?? new Uint8Array()) as DrawState;
  const parent = await decoded(id);

  const fork = await runs.fork(OWNER, id, { step: 5, input: { seed: 99 } });
  await until(fork.record.id, inState("succeeded"));
  const forked = await decoded(fork.record.id);
  parent.sequence.revealedAt.forEach((at, i) => {
    if (at <= 5) expect([forked.sequence.ids[i], forked.sequence.revealedAt[i]]).toEqual([parent.sequence.ids[i], at]);
  });
  expect(forked.sequence.ids).not.toEqual(parent.sequence.ids);

  const region = Uint32Array.of(0, 1, 8, 9);
  const redraw = await runs.redraw(OWNER, id, { input: { seed: 4 } }, () => Promise.resolve(region));
  expect((await until(redraw.record.id, inState("succeeded"))).origin).toMatchObject({ kind: "redraw", run: id });
  const redrawn = await decoded(redraw.record.id);
  parent.sequence.ids.forEach((value, i) => {
    if (!region.includes(i)) expect(redrawn.sequence.ids[i]).toBe(value);
  });
  await expect(runs.fork(OWNER, id, { step: 13 })).rejects.toMatchObject({ code: "fork_out_of_range" });
  await expect(runs.fork("another", id, { step: 3 })).rejects.toMatchObject({ code: "run_not_found", status: 404 });
});

test("an idempotency key attaches; with another body it is refused; keys of others are others", async () => {
  const request = { task: "draw", input };
  const first = await runs.create(OWNER, request, "k");
  const again = await runs.create(OWNER, { input: { steps: 12, seed: 3, prompt: "a dog" }, task: "draw" }, "k");
  expect([first.attached, again.attached, again.record.id]).toEqual([false, true, first.record.id]);
  await expect(runs.create(OWNER, { ...request, priority: 1 }, "k")).rejects.toMatchObject({ status: 422 });
  expect((await runs.create("another", request, "k")).attached).toBe(false);
  const race = await Promise.all([1, 2, 3, 4].map(() => runs.create(OWNER, request, "race")));
  expect(new Set(race.map(({ record }) => record.id)).size).toBe(1);
});

test("events can be followed while they come, from any number, and end with the run", async () => {
  const id = await create();
  const reading = (async () => {
    const seen: number[] = [];
    for await (const event of follow(ledger, OWNER, id, 2, new AbortController().signal, 5)) {
      if (event !== null) seen.push(event.sequence);
    }
    return seen;
  })();
  worker();
  const { sequence } = await until(id, inState("succeeded"));
  expect(await reading).toEqual(Array.from({ length: sequence - 2 }, (_, i) => i + 3));
  const left = new AbortController();
  const other = await create({ deadline_ms: 60_000 });
  await workers[0]?.stop();
  const abandoned = follow(ledger, OWNER, other, 0, left.signal);
  await abandoned.next();
  left.abort();
  while ((await abandoned.next()).done !== true);
});

test("the heartbeat renews leases only while the engine answers", async () => {
  const id = await create();
  const gate = Promise.withResolvers<void>();
  worker({ bound: 300, engine: tableEngine({ onStep: ({ step }) => (step === 2 ? gate.promise : undefined) }) });
  await until(id, ({ step }) => step === 2);
  const beat = async () => (await store.get<Lease>(keys.lease(id)))?.value.beat ?? -1;
  await expect.poll(beat).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const still = await beat();
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(await beat()).toBe(still);
  gate.resolve();
});

function withCommit(commit: Store["commit"]): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function unreachable(): UnmaskError {
  return new UnmaskError({ code: "store_unreachable", message: "no answer", fix: "wait", status: 503 });
}
