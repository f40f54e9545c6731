import { afterEach, expect, test } from "vitest";
import { Bell } from "../../../core/runs/bell.ts";
import { ended } from "../../../core/runs/follow.ts";
import { keys } from "../../../core/runs/keys.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import { Runs } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Store } from "../../../core/runs/store/types.ts";
import { Worker } from "../../../core/runs/worker.ts";
import { plainFile, tableEngine } from "./table_engine.ts";

const OWNER = "somebody";
const input = { prompt: "a dog", seed: 3, steps: 16 };
const never = new AbortController().signal;

const behind: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of behind.splice(0).reverse()) await close();
});

async function memory(): Promise<Store> {
  const store = await openMemory();
  behind.push(() => store.close());
  return store;
}

function working(ledger: Ledger, stepMilliseconds = 10): Worker {
  const engine = tableEngine({ stepMilliseconds });
  const worker = new Worker({ ledger, engine, kinds: [drawKind], encode: plainFile, poll: 20 });
  behind.push(() => worker.stop());
  worker.start();
  return worker;
}

test("whoever waits for a run of this process reads no record at its steps, and is told of its end", async () => {
  const store = await memory();
  const ledger = new Ledger(store);
  const runs = new Runs({ ledger, kinds: [drawKind], onQueued: () => worker.wake() });
  const worker = working(ledger);
  const { record: { id } } = await runs.create(OWNER, { task: "draw", input });
  const run = JSON.stringify(keys.run(OWNER, id));
  let reads = 0;
  const getMany = store.getMany.bind(store);
  store.getMany = (wanted) => {
    if (wanted.some((key) => JSON.stringify(key) === run)) reads++;
    return getMany(wanted);
  };
  const last = await ended(ledger, OWNER, id, never);
  expect(last).toMatchObject({ id, state: "succeeded", step: 16 });
  expect(last).toEqual(await runs.get(OWNER, id));
  // The claim, the one read above, and on a busy machine the watch until the claim.
  expect(reads).toBeLessThanOrEqual(5);
});

test("who was told of the end has file and state without the store, and the same bytes as the store's", async () => {
  const store = await memory();
  const ledger = new Ledger(store);
  const runs = new Runs({ ledger, kinds: [drawKind], onQueued: () => worker.wake() });
  const worker = working(ledger, 0);
  const { record: { id } } = await runs.create(OWNER, { task: "draw", input });
  const last = await ended(ledger, OWNER, id, never);
  if (last === null) throw new Error("no run");
  const [file, state] = [(await runs.result(OWNER, id)).bytes, await runs.state(OWNER, id)];
  const getMany = store.getMany.bind(store);
  store.getMany = () => Promise.reject(new Error("the store was asked"));
  expect(await runs.resultOf(last)).toEqual(file);
  expect(await runs.stateOf(last)).toEqual(state);
  await expect(runs.resultOf({ ...last })).rejects.toThrow("the store was asked");
  await expect(runs.stateOf({ ...last })).rejects.toThrow("the store was asked");
  store.getMany = getMany;
});

test("a run of another process is awaited too, also one that was this process's until now", async () => {
  const store = await memory();
  const [here, elsewhere] = [new Ledger(store), new Ledger(store)];
  const runs = new Runs({ ledger: here, kinds: [drawKind] });
  const { record } = await runs.create(OWNER, { task: "draw", input });
  // What is left behind by a lease that was lost: the word that the run is here.
  here.here.note({ ...record, state: "running" });
  const waiting = ended(here, OWNER, record.id, never);
  working(elsewhere);
  expect(await waiting).toMatchObject({ state: "succeeded" });
  expect(here.here.has(record.id)).toBeNull();
});

test("a run that waits longer than a moment is looked for in the store, and only as many are remembered", async () => {
  const store = await memory();
  const [here, elsewhere] = [new Ledger(store), new Ledger(store)];
  const runs = new Runs({ ledger: here, kinds: [drawKind] });
  const { record } = await runs.create(OWNER, { task: "draw", input });
  expect(here.here.has(record.id)).toBe("queued");
  const waiting = ended(here, OWNER, record.id, never);
  working(elsewhere);
  expect(await waiting).toMatchObject({ state: "succeeded" });
  for (let i = 0; i < 1001; i++) here.here.note({ ...record, id: `run_${i}` });
  expect([here.here.has("run_0"), here.here.has("run_1")]).toEqual([null, "queued"]);
});

test("a caller who leaves, and a run that is not there, end the waiting", async () => {
  const store = await memory();
  const ledger = new Ledger(store);
  const runs = new Runs({ ledger, kinds: [drawKind] });
  const { record } = await runs.create(OWNER, { task: "draw", input });
  for (const running of [false, true]) {
    if (running) ledger.here.note({ ...record, state: "running" });
    const leaving = new AbortController();
    const waiting = ended(ledger, OWNER, record.id, leaving.signal);
    setTimeout(() => leaving.abort(), 20);
    expect(await waiting).toBeNull();
  }
  expect(await ended(ledger, OWNER, "run_nothing", never)).toBeNull();
});

test("a ring during the look before a wait is not lost", async () => {
  const bell = new Bell();
  const heard = bell.rings;
  bell.ring();
  const start = performance.now();
  await bell.wait(10_000, never, heard);
  expect(performance.now() - start).toBeLessThan(5000);
});
