/** What a store may do to a run: each time a clear error, and a run that goes on later to the same picture. */
import { afterEach, expect, test } from "vitest";
import { UnmaskError } from "../../../core/errors.ts";
import { RESULT } from "../../../core/runs/active_run.ts";
import { eventsAfter } from "../../../core/runs/follow.ts";
import { keys } from "../../../core/runs/keys.ts";
import type { RunRecord } from "../../../core/runs/record.ts";
import { readState, SNAPSHOT_BYTES, stageState } from "../../../core/runs/stored_state.ts";
import { type BlobHead, headKey, putBlob } from "../../../core/runs/store/blobs.ts";
import { orphanedParts } from "../../../core/runs/store/sweep.ts";
import type { Commit, Store } from "../../../core/runs/store/types.ts";
import { newRecord } from "../../../core/runs/new_record.ts";
import { Bench, INPUT, OWNER, withMethods } from "./run_bench.ts";
import { undisturbed } from "./table_engine.ts";

let bench: Bench;
afterEach(() => bench.close());

const failure = (code: string) => new UnmaskError({ code, message: code, fix: "see to it", status: 503 });

/** A bench whose store fails as it is told. */
async function failing(): Promise<{ fail: (code: string | null) => void }> {
  let now: string | null = null;
  const faulty = (store: Store) => {
    const guarded = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => (...args: A): Promise<R> =>
      now === null ? work(...args) : Promise.reject(failure(now));
    return withMethods(store, {
      commit: guarded((commit: Commit) => store.commit(commit)),
      getMany: guarded((keys) => store.getMany(keys)) as Store["getMany"],
      get: guarded((key) => store.get(key)) as Store["get"],
      list: guarded((options) => store.list(options)) as Store["list"],
    });
  };
  bench = await Bench.open(faulty);
  return { fail: (code) => void (now = code) };
}

test.each(["store_full", "store_unreachable", "store_write_failed"])(
  "%s in the middle: new runs are refused with that code, and the one at work goes on when it is over",
  async (code) => {
    const { fail } = await failing();
    const id = await bench.create();
    bench.worker();
    await bench.until(id, ({ step }) => step >= 2);
    fail(code);
    // A commit whose store cannot be reached is tried until it can.
    if (code !== "store_unreachable") await expect(bench.create()).rejects.toMatchObject({ code });
    await expect(bench.runs.get(OWNER, id)).rejects.toMatchObject({ code });
    await new Promise((resolve) => setTimeout(resolve, 600));
    fail(null);
    await bench.until(id, ({ state }) => state === "succeeded");
    expect((await bench.runs.result(OWNER, id)).bytes).toEqual(await undisturbed(INPUT));
  },
);

test("a value too large is refused before the store sees it, and nothing of the run is left", async () => {
  bench = await Bench.open();
  const input = { ...INPUT, prompt: "a dog ".repeat(12_000) };
  await expect(bench.runs.create(OWNER, { task: "draw", input })).rejects.toMatchObject({
    code: "value_too_large",
    message: expect.stringContaining("65536"),
  });
  expect((await bench.runs.list(OWNER)).records).toEqual([]);
  expect((await bench.store.list({ prefix: keys.allPending })).entries).toEqual([]);
  const id = await bench.create();
  bench.worker();
  await bench.until(id, ({ state }) => state === "succeeded");
});

test("a version conflict: whoever meets another's write lets go, and the run goes on", async () => {
  bench = await Bench.open();
  const id = await bench.create();
  const worker = bench.worker();
  await bench.until(id, ({ step }) => step >= 2);
  // Somebody else writes the record, as no worker may: the lease's holder must not write over it.
  for (let landed = false; !landed;) {
    const now = await bench.store.get<RunRecord>(keys.run(OWNER, id));
    if (now === null) throw new Error("there is no record");
    const checks = [{ key: now.key, version: now.version }];
    const sets = [{ key: now.key, value: { ...now.value, write_id: "another's" } }];
    landed = (await bench.store.commit({ checks, sets })).ok;
  }
  await expect.poll(() => worker.active, { timeout: 20_000 }).toBe(0);
  const last = await bench.until(id, ({ state }) => state === "succeeded");
  expect(last.claims).toBeGreaterThan(1);
  expect((await bench.runs.result(OWNER, id)).bytes).toEqual(await undisturbed(INPUT));
});

test("a corrupt result is told as such, and a fork at the last step draws it again", async () => {
  bench = await Bench.open();
  const id = await bench.create();
  bench.worker();
  const { step } = await bench.until(id, ({ state }) => state === "succeeded");
  await corrupt(bench.store, { owner: OWNER, run: id, name: RESULT });
  await expect(bench.runs.result(OWNER, id)).rejects.toMatchObject({
    code: "blob_corrupt",
    fix: expect.stringContaining("fork at the last step"),
  });
  const fork = await bench.runs.fork(OWNER, id, { step });
  await bench.until(fork.record.id, ({ state }) => state === "succeeded");
  expect((await bench.runs.result(OWNER, fork.record.id)).bytes).toEqual(await undisturbed(INPUT));
});

test("a corrupt snapshot ends the run with its reason, and a retry draws it from its input, under its id", async () => {
  bench = await Bench.open();
  const id = await bench.create();
  const first = bench.worker();
  await bench.until(id, ({ step }) => step >= 3);
  await first.stop();
  const key = keys.state(OWNER, id);
  const entry = await bench.store.get<{ step: number; bytes: Uint8Array }>(key);
  if (entry === null) throw new Error("there is no snapshot");
  const bytes = entry.value.bytes.slice(0, -3);
  await bench.store.commit({ sets: [{ key, value: { ...entry.value, bytes } }] });
  const second = bench.worker({ maximumAttempts: 2 });
  const failed = await bench.until(id, ({ state }) => state === "failed");
  expect(failed.error).toMatchObject({ code: "state_unreadable", fix: expect.stringContaining("start the run again") });
  await second.stop();
  expect(await bench.runs.retry(OWNER, id)).toMatchObject({ id, state: "queued", step: 0, error: null });
  bench.worker();
  const last = await bench.until(id, ({ state }) => state === "succeeded");
  expect(last).toMatchObject({ step: INPUT.steps, exact: true, fingerprints: ["table"] });
  expect((await bench.runs.result(OWNER, id)).bytes).toEqual(await undisturbed(INPUT));
});

/** Other bytes under the same head. */
async function corrupt(store: Store, key: { owner: string; run: string; name: string }): Promise<void> {
  const head = await store.get<BlobHead>(headKey(key));
  if (head === null) throw new Error("there is no such blob");
  const { inline, upload, parts } = head.value;
  if (inline !== null) {
    const other = inline.slice();
    other[3] = (other[3] ?? 0) ^ 1;
    await store.commit({ sets: [{ key: headKey(key), value: { ...head.value, inline: other } }] });
    return;
  }
  expect(parts).toBeGreaterThan(0);
  await store.commit({ sets: [{ key: ["blob_part", key.owner, key.run, upload ?? "", 0], value: new Uint8Array(9) }] });
}

test("a state is a value while it is small and a blob when it is not; a corrupt one is refused", async () => {
  bench = await Bench.open();
  const record = newRecord(1, OWNER, "draw", INPUT, {}, null);
  const key = keys.state(OWNER, record.id);
  const put = async (bytes: Uint8Array) => {
    const staged = await stageState(bench.store, key, record, bytes);
    expect((await bench.store.commit(staged)).ok).toBe(true);
    return await readState(bench.store, key, OWNER, record.id);
  };
  const bytesOf = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251);
  expect(await readState(bench.store, key, OWNER, record.id)).toBeNull();
  const [small, large, larger] = [bytesOf(SNAPSHOT_BYTES, 1), bytesOf(SNAPSHOT_BYTES + 1, 2), bytesOf(200_000, 3)];
  for (const bytes of [small, large, larger, small, larger]) expect(await put(bytes)).toEqual(bytes);
  // What a newer one replaced waits for the sweep; nothing else lies about.
  expect((await orphanedParts(bench.store)).length).toBeGreaterThan(0);
  await corrupt(bench.store, { owner: OWNER, run: record.id, name: "state" });
  await expect(readState(bench.store, key, OWNER, record.id)).rejects.toMatchObject({ code: "blob_corrupt" });
  expect(await put(larger)).toEqual(larger);
});

test("a run, its blobs and its events are found by their owner alone", async () => {
  bench = await Bench.open();
  const id = await bench.create();
  await putBlob(bench.store, { owner: OWNER, run: id, name: RESULT }, new Uint8Array(9), "image/png");
  const { runs, ledger } = bench;
  const refused = { code: "run_not_found", status: 404 };
  for (const ask of ["result", "get", "state", "cancel", "pause", "resume", "retry"] as const) {
    await expect(runs[ask]("another", id), ask).rejects.toMatchObject(refused);
  }
  await expect(runs.fork("another", id, { step: 0 })).rejects.toMatchObject(refused);
  const region = () => Promise.resolve(Uint32Array.of(0));
  await expect(runs.redraw("another", id, {}, region)).rejects.toMatchObject(refused);
  const events = async (owner: string) => await Array.fromAsync(eventsAfter(ledger, owner, id, 0));
  expect(await events("another")).toEqual([]);
  expect(await events(OWNER)).toHaveLength(1);
  expect(await runs.get(OWNER, id)).toMatchObject({ state: "queued" });
});
