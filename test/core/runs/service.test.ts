/** Runs that come from runs, keys that attach, events that are followed. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { follow } from "../../../core/runs/follow.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { Bench, INPUT, inState, OWNER } from "./run_bench.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await Bench.open();
});
afterEach(() => bench.close());

test("forks and redraws are runs of their own", async () => {
  const id = await bench.create();
  bench.worker();
  await bench.until(id, inState("succeeded"));
  const decoded = async (run: string) =>
    drawKind.decode(await bench.runs.state(OWNER, run) ?? new Uint8Array()) as DrawState;
  const parent = await decoded(id);

  const fork = await bench.runs.fork(OWNER, id, { step: 5, input: { seed: 99 } });
  await bench.until(fork.record.id, inState("succeeded"));
  const forked = await decoded(fork.record.id);
  parent.sequence.revealedAt.forEach((at, i) => {
    if (at <= 5) expect([forked.sequence.ids[i], forked.sequence.revealedAt[i]]).toEqual([parent.sequence.ids[i], at]);
  });
  expect(forked.sequence.ids).not.toEqual(parent.sequence.ids);

  const region = Uint32Array.of(0, 1, 8, 9);
  const redraw = await bench.runs.redraw(OWNER, id, { input: { seed: 4 } }, () => Promise.resolve(region));
  expect((await bench.until(redraw.record.id, inState("succeeded"))).origin).toMatchObject({ kind: "redraw", run: id });
  const redrawn = await decoded(redraw.record.id);
  parent.sequence.ids.forEach((value, i) => {
    if (!region.includes(i)) expect(redrawn.sequence.ids[i]).toBe(value);
  });
  await expect(bench.runs.fork(OWNER, id, { step: 13 })).rejects.toMatchObject({ code: "fork_out_of_range" });
  await expect(bench.runs.fork("another", id, { step: 3 })).rejects.toMatchObject({
    code: "run_not_found",
    status: 404,
  });
});

test("an idempotency key attaches; with another body it is refused; keys of others are others", async () => {
  const request = { task: "draw", input: INPUT };
  const first = await bench.runs.create(OWNER, request, "k");
  const again = await bench.runs.create(OWNER, { input: { steps: 12, seed: 3, prompt: "a dog" }, task: "draw" }, "k");
  expect([first.attached, again.attached, again.record.id]).toEqual([false, true, first.record.id]);
  await expect(bench.runs.create(OWNER, { ...request, priority: 1 }, "k")).rejects.toMatchObject({ status: 422 });
  expect((await bench.runs.create("another", request, "k")).attached).toBe(false);
  const race = await Promise.all([1, 2, 3, 4].map(() => bench.runs.create(OWNER, request, "race")));
  expect(new Set(race.map(({ record }) => record.id)).size).toBe(1);
});

test("events can be followed while they come, from any number, and end with the run", async () => {
  const id = await bench.create();
  const reading = (async () => {
    const seen: number[] = [];
    for await (const event of follow(bench.ledger, OWNER, id, 2, new AbortController().signal, 5)) {
      if (event !== null) seen.push(event.sequence);
    }
    return seen;
  })();
  bench.worker();
  const { sequence } = await bench.until(id, inState("succeeded"));
  expect(await reading).toEqual(Array.from({ length: sequence - 2 }, (_, i) => i + 3));
  const left = new AbortController();
  const other = await bench.create({ deadline_ms: 60_000 });
  await bench.workers[0]?.stop();
  const abandoned = follow(bench.ledger, OWNER, other, 0, left.signal);
  await abandoned.next();
  left.abort();
  while ((await abandoned.next()).done !== true);
});
