import { afterEach, beforeEach, expect, test } from "vitest";
import { Admission } from "../../../core/runs/admission.ts";
import { keys as places } from "../../../core/runs/keys.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Store } from "../../../core/runs/store/types.ts";

let store: Store;
beforeEach(async () => {
  store = await openMemory();
});
afterEach(() => store.close());

const fill = async (owner: string, count: number, from = 0) => {
  for (let i = from; i < from + count; i++) {
    await store.commit({
      sets: [{ key: places.pending(5, i, `run_${owner}${i}`), value: { owner, not_before: 0 } }],
    });
  }
};

test("unfinished runs are bounded for one owner and in all, waiting and at work alike", async () => {
  await fill("a", 2);
  await store.commit({
    sets: [{ key: places.lease("run_x"), value: { owner: "a", worker: "w", token: 1, beat: 0 } }],
  });
  const gate = () => new Admission(store, { queue: 6, perOwner: 4 });
  await gate().admit("a");
  await fill("a", 1, 2);
  await expect(gate().admit("a")).rejects.toMatchObject({ code: "too_many_runs", status: 429, retryAfter: 1 });
  await gate().admit("b");
  await fill("b", 2);
  await expect(gate().admit("b")).rejects.toMatchObject({ code: "queue_full", status: 503, retryAfter: 2 });
});

test("unfinished runs that were accepted since the last count are in it", async () => {
  let time = 0;
  const gate = new Admission(store, { perOwner: 3, now: () => time });
  for (let i = 0; i < 3; i++) await gate.admit("a");
  await expect(gate.admit("a")).rejects.toMatchObject({ code: "too_many_runs" });
  time += 501;
  await gate.admit("a");
});

test("unfinished runs are counted again beside who has room, and before anybody is refused", async () => {
  let time = 0;
  const gate = new Admission(store, { perOwner: 4, now: () => time });
  await gate.admit("a");
  let counts = 0;
  const held = Promise.withResolvers<void>();
  const list = store.list.bind(store);
  store.list = async (options) => {
    counts++;
    await held.promise;
    return await list(options);
  };
  // Where there is much room, a count holds longer.
  time += 501;
  await gate.admit("a");
  expect(counts).toBe(0);
  time += 4500;
  // Nobody waits for the count that these are in.
  await gate.admit("a");
  await gate.admit("a");
  expect(counts).toBe(2);
  // Full by the old count: the new one says that the first two have ended.
  const waiting = gate.admit("a");
  held.resolve();
  await waiting;
  await gate.admit("a");
  await expect(gate.admit("a")).rejects.toMatchObject({ code: "too_many_runs" });
});

test("unfinished runs are not refused for a count that the store did not answer", async () => {
  const gate = new Admission(store, { perOwner: 1 });
  const list = store.list.bind(store);
  store.list = () => Promise.reject(new Error("away"));
  await expect(gate.admit("a")).rejects.toThrow("away");
  store.list = list;
  await gate.admit("a");
  await expect(gate.admit("a")).rejects.toMatchObject({ code: "too_many_runs" });
});
