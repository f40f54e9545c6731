/** What may fail around a step: the input, the engine, its numerics, the answer of the store. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { UnmaskError } from "../../../core/errors.ts";
import { keys } from "../../../core/runs/keys.ts";
import type { Commit } from "../../../core/runs/store/types.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { Bench, inState, withMethods } from "./run_bench.ts";
import { tableEngine } from "./table_engine.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("an input that the model refuses fails at once, with its code", async () => {
  const id = await bench.create({ input: { prompt: "a dog", seed: 1, size: "64x64" } });
  bench.worker();
  expect(await bench.until(id, inState("failed"))).toMatchObject({ claims: 1, error: { code: "size_unsupported" } });
  expect(await bench.store.get(keys.lease(id))).toBeNull();
});

test("a fault of the engine is tried again with back-off, then dead-lettered with its error", async () => {
  const id = await bench.create();
  const dead = new UnmaskError({ code: "thread_died", message: "it died", fix: "start it", status: 503 });
  bench.worker({ engine: tableEngine({ onStep: () => Promise.reject(dead) }), maximumAttempts: 3 });
  const record = await bench.until(id, inState("failed"));
  expect(record).toMatchObject({ claims: 3, error: { code: "thread_died" } });
  expect(await bench.store.get(keys.dead(id))).not.toBeNull();
  expect((await bench.events(id)).filter(({ type }) => type === "run.requeued")).toHaveLength(2);
  expect((await bench.events(id)).at(-1)).toMatchObject({ type: "run.failed", data: { dead_letter: true } });
});

test("a fault that passes costs nothing: attempts count claims without progress", async () => {
  const id = await bench.create();
  let faults = 0;
  const onStep = ({ step }: DrawState) => {
    if (step % 3 !== 2 || faults++ % 2 === 1) return;
    throw new Error("now and then");
  };
  bench.worker({ engine: tableEngine({ onStep }), maximumAttempts: 2, backoff: 1 });
  await bench.until(id, inState("succeeded"));
  await bench.expectWhole(id);
  expect(faults).toBeGreaterThan(4);
});

test.each([false, true])(
  "other numerics, require_exact %s: the run goes on and says so, or is refused",
  async (exact) => {
    const id = await bench.create({ require_exact: exact });
    const gate = Promise.withResolvers<void>();
    const first = bench.worker({
      engine: tableEngine({ onStep: ({ step }) => (step === 3 ? gate.promise : undefined) }),
    });
    await bench.until(id, ({ step }) => step === 3);
    const stopped = first.stop();
    gate.resolve();
    await stopped;
    bench.worker({ engine: tableEngine({ fingerprint: "another" }), maximumAttempts: 2, backoff: 1 });
    const record = await bench.until(id, ({ state }) => state === "succeeded" || state === "failed");
    expect(record).toMatchObject(
      exact
        ? { state: "failed", error: { code: "numerics_differ" }, exact: true }
        : { state: "succeeded", exact: false, fingerprints: ["table", "another"] },
    );
  },
);

test("a commit whose answer is lost is found to have landed", async () => {
  let lost = 0;
  const unreachable = () =>
    new UnmaskError({ code: "store_unreachable", message: "no answer", fix: "wait", status: 503 });
  const flaky = await Bench.open((store) =>
    withMethods(store, {
      commit: async (commit: Commit) => {
        const result = await store.commit(commit);
        if ((commit.checks?.length ?? 0) > 0 && ++lost % 2 === 0) throw unreachable();
        return result;
      },
    })
  );
  try {
    const id = await flaky.create();
    flaky.worker();
    await flaky.until(id, inState("succeeded"));
    await flaky.expectWhole(id);
    expect(lost).toBeGreaterThan(5);
  } finally {
    await flaky.close();
  }
});

test("a full store: the run stands still, and goes on when there is room", async () => {
  let full = false;
  const bounded = await Bench.open((store) =>
    withMethods(store, {
      commit: (commit: Commit) =>
        full
          ? Promise.reject(new UnmaskError({ code: "store_full", message: "full", fix: "make room", status: 507 }))
          : store.commit(commit),
    })
  );
  try {
    const id = await bounded.create();
    const worker = bounded.worker({ engine: tableEngine({ stepMilliseconds: 20 }) });
    await bounded.until(id, ({ step }) => step >= 2);
    full = true;
    await expect(bounded.create()).rejects.toMatchObject({ code: "store_full" });
    await expect.poll(() => worker.active).toBe(0);
    full = false;
    await bounded.until(id, inState("succeeded"));
    await bounded.expectWhole(id);
  } finally {
    await bounded.close();
  }
});
