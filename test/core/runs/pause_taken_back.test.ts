/** A pause that is taken back while whoever holds the run is about to obey it: the run goes on. */
import { afterEach, expect, test } from "vitest";
import { keys } from "../../../core/runs/keys.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import type { RunRecord } from "../../../core/runs/record.ts";
import { Runs } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import type { Commit, Store } from "../../../core/runs/store/types.ts";
import { Bench, INPUT, OWNER, withMethods } from "./run_bench.ts";
import { undisturbed } from "./table_engine.ts";

let bench: Bench;
afterEach(() => bench.close());

/** A bench whose workers meet a resume just before their commit of the pause. */
async function resumedAtThePause(): Promise<{ readonly met: () => number }> {
  let met = 0;
  const late = (store: Store) => {
    const callers = new Runs({ ledger: new Ledger(store), kinds: [drawKind] });
    return withMethods(store, {
      commit: async (commit: Commit) => {
        const run = commit.sets?.map(({ key, value }) => (key[0] === "run" ? value as RunRecord : null)).find(Boolean);
        if (run?.state === "paused" && met++ === 0) await callers.resume(OWNER, run.id);
        return await store.commit(commit);
      },
    });
  };
  bench = await Bench.open(late);
  return { met: () => met };
}

/** Asks for a pause as a caller of another process does. */
async function askToPause(id: string): Promise<void> {
  await bench.store.commit({ sets: [{ key: keys.control(OWNER, id), value: { pause: true, write_id: "asked" } }] });
}

test.each([["while it waits", false], ["while it runs", true]])("%s", async (_, running) => {
  const { met } = await resumedAtThePause();
  const id = await bench.create();
  if (!running) await askToPause(id);
  bench.worker();
  if (running) {
    await bench.until(id, ({ step }) => step >= 2);
    await askToPause(id);
  }
  await bench.until(id, ({ state }) => state === "succeeded");
  expect(met()).toBe(1);
  expect((await bench.runs.result(OWNER, id)).bytes).toEqual(await undisturbed(INPUT));
});

test("the word of a pause that the store no longer holds is not obeyed", async () => {
  bench = await Bench.open();
  const id = await bench.create();
  const worker = bench.worker();
  await bench.until(id, ({ step }) => step >= 2);
  worker.obey(id, { pause: true });
  const last = await bench.until(id, ({ state }) => state !== "running");
  expect(last).toMatchObject({ state: "succeeded", claims: 1 });
});
