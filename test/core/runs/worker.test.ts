/** Workers take runs, lose them, hand them back, and take turns between owners. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { keys } from "../../../core/runs/keys.ts";
import type { Lease } from "../../../core/runs/record.ts";
import { Bench, inState, LEASE, OWNER } from "./run_bench.ts";
import { tableEngine } from "./table_engine.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("a run is drawn, with every step in its log, as it would be alone", async () => {
  const id = await bench.create();
  expect((await bench.runs.get(OWNER, id)).state).toBe("queued");
  bench.worker();
  const record = await bench.until(id, inState("succeeded"));
  await bench.expectWhole(id);
  expect(record).toMatchObject({ step: 12, steps: 12, claims: 1, exact: true, fingerprints: ["table"], place: null });
  expect((await bench.events(id)).at(-1)?.type).toBe("run.succeeded");
});

test("a killed worker's run goes on elsewhere within the lease and a second, bit for bit", async () => {
  const id = await bench.create();
  const first = bench.worker({ engine: tableEngine({ stepMilliseconds: 25 }) });
  await bench.until(id, ({ step }) => step >= 3);
  first.kill();
  const killed = performance.now();
  bench.worker();
  await bench.until(id, ({ claims }) => claims === 2);
  expect(performance.now() - killed).toBeLessThan(LEASE + 1000);
  await bench.until(id, inState("succeeded"));
  await bench.expectWhole(id);
  expect((await bench.events(id)).filter(({ type }) => type === "run.started").map(({ data }) => data.reclaimed))
    .toEqual([false, true]);
});

test("a worker that stalls past its lease and wakes writes nothing more", async () => {
  const id = await bench.create();
  const gate = Promise.withResolvers<void>();
  let blocked = false;
  const stalled = bench.worker({
    lease: 60_000, // its heartbeat is too slow for the other's idea of a lease: the stall
    engine: tableEngine({
      onStep: async ({ step }) => {
        if (step !== 4) return;
        blocked = true;
        await gate.promise;
      },
    }),
  });
  await bench.until(id, () => blocked);
  bench.worker();
  await bench.until(id, inState("succeeded"));
  const before = await bench.store.get(keys.run(OWNER, id));
  gate.resolve();
  await expect.poll(() => stalled.active).toBe(0);
  expect(await bench.store.get(keys.run(OWNER, id))).toEqual(before);
  await bench.expectWhole(id);
});

test("a stopping worker hands its runs back, and they go first and at once", async () => {
  const slow = await bench.create();
  const first = bench.worker({ engine: tableEngine({ stepMilliseconds: 20 }), slots: 1 });
  await bench.until(slow, ({ step }) => step >= 2);
  const other = await bench.create({ priority: 9 });
  await first.stop();
  expect(await bench.runs.get(OWNER, slow)).toMatchObject({
    state: "queued",
    attempts: 0,
    place: [0, expect.any(Number)],
  });
  expect(await bench.store.get(keys.lease(slow))).toBeNull();
  bench.worker({ slots: 1, poll: 10_000 });
  await bench.until(other, inState("succeeded"));
  await bench.expectWhole(slow);
  const started = async (id: string) =>
    (await bench.events(id)).findLast(({ type }) => type === "run.started")?.time ?? 0;
  expect(await started(slow)).toBeLessThanOrEqual(await started(other));
});

test("priorities order the queue; short runs of another owner do not wait for long ones", async () => {
  const order: string[] = [];
  const ids = await Promise.all([1, 9, 5].map((priority) => bench.create({ priority })));
  bench.worker({ slots: 1, log: (line) => line.event === "claimed" && order.push(String(line.run)) });
  await Promise.all(ids.map((id) => bench.until(id, inState("succeeded"))));
  expect(order).toEqual([ids[1], ids[2], ids[0]]);
});

test("owners take turns, then their runs", async () => {
  const engine = tableEngine();
  for (const [owner, prompt] of [["a", "one"], ["a", "two"], ["b", "three"]] as const) {
    await bench.runs.create(owner, { task: "draw", input: { prompt, seed: 1, steps: 8 } });
  }
  const order = engine.seen.order;
  bench.worker({ engine });
  await expect.poll(() => engine.seen.steps, { timeout: 10_000 }).toBe(24);
  const all = order.indexOf("three");
  const share = order.slice(all, all + 8);
  expect(share.filter((prompt) => prompt === "three").length).toBeGreaterThanOrEqual(3);
});

test("the heartbeat renews leases only while the engine answers", async () => {
  const id = await bench.create();
  const gate = Promise.withResolvers<void>();
  bench.worker({ bound: 300, engine: tableEngine({ onStep: ({ step }) => (step === 2 ? gate.promise : undefined) }) });
  await bench.until(id, ({ step }) => step === 2);
  const beat = async () => (await bench.store.get<Lease>(keys.lease(id)))?.value.beat ?? -1;
  await expect.poll(beat).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const still = await beat();
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(await beat()).toBe(still);
  gate.resolve();
});
