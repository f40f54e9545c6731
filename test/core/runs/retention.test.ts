/** Ended runs go after their time, whole; what is at work stays. */
import { afterEach, expect, test } from "vitest";
import { Retention } from "../../../core/runs/retention.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import { listAll, type Store } from "../../../core/runs/store/types.ts";
import { makeOutbox } from "../../../core/runs/webhooks/outbox.ts";
import { newSecret } from "../../../core/runs/webhooks/endpoint.ts";
import { putBlob, stageBlob } from "../../../core/runs/store/blobs.ts";
import { Bench, OWNER } from "./run_bench.ts";

let bench: Bench;
afterEach(() => bench.close());

async function everything(store: Store, id: string): Promise<string[]> {
  const found: string[] = [];
  for (
    const prefix of [
      "run",
      "state",
      "origin",
      "event",
      "control",
      "pending",
      "lease",
      "dead",
      "blob",
      "blob_part",
      "blob_mark",
      "webhook",
      "webhook_due",
    ]
  ) {
    for await (const { key } of listAll(store, { prefix: [prefix], limit: 10 })) {
      if (key.some((part) => String(part).includes(id))) found.push(key.join(" "));
    }
  }
  return found;
}

test("a run that has ended is gone after its time, with events, state, blobs and messages; others stay", async () => {
  let now = Date.now();
  const secret = newSecret();
  const endpoints = [{ name: "log", url: "https://log.example/", secrets: [secret], events: ["*"] }];
  bench = new Bench(await openMemory(), undefined, {
    now: () => now,
    retention: 60_000,
    outbox: makeOutbox({ endpoints, secrets: [], base_url: null }),
  });
  const [id, other] = [await bench.create(), await bench.create()];
  await bench.runs.pause(OWNER, other);
  bench.worker();
  const { expires_at } = await bench.until(id, ({ state }) => state === "succeeded");
  expect(expires_at).toBe(now + 60_000);
  await putBlob(bench.store, { owner: OWNER, run: id, name: "step-3" }, new Uint8Array(100_000), "image/png");
  // An upload that was never finished.
  await stageBlob(bench.store, { owner: OWNER, run: id, name: "lost" }, new Uint8Array(400_000), "image/png");
  const retention = new Retention(bench.ledger);
  expect(await retention.sweep()).toBe(0);
  const before = await everything(bench.store, id);
  for (const prefix of ["run ", "state ", "event ", "blob ", "blob_part ", "webhook ", "webhook_due "]) {
    expect(before.some((key) => key.startsWith(prefix)), prefix).toBe(true);
  }
  expect(before.some((key) => key.startsWith("blob_mark "))).toBe(false);
  now += 60_001;
  expect(await retention.sweep()).toBe(1);
  expect(await everything(bench.store, id)).toEqual([]);
  expect((await bench.runs.get(OWNER, other)).state).toBe("paused");
  expect((await everything(bench.store, other)).length).toBeGreaterThan(2);
  await expect(bench.runs.get(OWNER, id)).rejects.toMatchObject({ code: "run_not_found" });
});
