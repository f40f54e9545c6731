/** Claims of several workers at one store: nothing twice, strict order while alone, spreading out while others are met. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { keys } from "../../../core/runs/keys.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import { Queue } from "../../../core/runs/queue.ts";
import { Runs } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Commit, Store } from "../../../core/runs/store/types.ts";

const OWNER = "somebody";
let store: Store;
let runs: Runs;
beforeEach(async () => {
  store = await openMemory();
  runs = new Runs({ ledger: new Ledger(store), kinds: [drawKind] });
});
afterEach(() => store.close());

async function fill(count: number, priority = 5): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const { record } = await runs.create(OWNER, { task: "draw", input: { prompt: "a dog" }, priority });
    ids.push(record.id);
  }
  return ids;
}

/** The store, with a count of its commits and of those that were refused. */
function counted() {
  const seen = { commits: 0, refused: 0 };
  const watched = new Proxy(store, {
    get(target, name) {
      if (name === "commit") {
        return async (commit: Commit) => {
          seen.commits++;
          // Others get their turn between the read and the write, as over a network.
          await new Promise((resolve) => setTimeout(resolve, 2));
          const result = await target.commit(commit);
          if (!result.ok) seen.refused++;
          return result;
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { seen, watched };
}

test("alone, a worker takes runs in the order of priority and acceptance", async () => {
  const low = await fill(20, 2);
  const high = await fill(20, 7);
  const queue = new Queue(new Ledger(store), "one");
  const order: string[] = [];
  for (let claim = await queue.claim(); claim !== null; claim = await queue.claim()) order.push(claim.record.id);
  // Ids sort by time, and within one ms at random, as the queue does.
  const sorted = (ids: string[]) => ids.toSorted();
  expect(sorted(order.slice(0, 20))).toEqual(sorted(high));
  expect(sorted(order.slice(20))).toEqual(sorted(low));
});

test("eight workers take every run once, and lose few commits to each other", async () => {
  const ids = await fill(64);
  const { seen, watched } = counted();
  const ledger = new Ledger(watched);
  const taken: string[] = [];
  await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const queue = new Queue(ledger, `worker-${i}`);
    for (let claim = await queue.claim(); claim !== null; claim = await queue.claim()) taken.push(claim.record.id);
  }));
  expect(taken.toSorted()).toEqual(ids.toSorted());
  expect((await store.list({ prefix: keys.allPending })).entries).toEqual([]);
  // All at the head would lose seven commits for each that lands.
  expect(seen.refused).toBeLessThan(1.5 * ids.length);
});
