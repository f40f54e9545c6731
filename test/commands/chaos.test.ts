/** What `deno task chaos` judges with: it must see what is wrong, and nothing where nothing is. */
import { describe, expect, test } from "vitest";
import type { RunEvent, RunRecord, RunState } from "../../core/runs/record.ts";
import { newRecord } from "../../core/runs/new_record.ts";
import { encode } from "../../core/runs/store/codec.ts";
import type { Loss } from "../../commands/chaos/faults.ts";
import { LagMeter } from "../../commands/chaos/lag.ts";
import { judgeEnds } from "../../commands/chaos/judge_ends.ts";
import { Violations } from "../../commands/chaos/oracle.ts";
import { ONLY_OF, planOf, PROCESS_FAULTS } from "../../commands/chaos/plan.ts";
import { judgeTakeovers } from "../../commands/chaos/takeover.ts";
import { parseCommit, parseOutcome, type WireWrite } from "../../commands/chaos/wire.ts";
import { Witness } from "../../commands/chaos/witness.ts";
import { StoreProxy } from "../../commands/chaos/proxy.ts";
import type { UnaskedEnd } from "../../commands/chaos/workers.ts";
import { TASKS } from "../../core/tasks/all_tasks.ts";

/** A field of bytes of a protobuf message. */
function field(number: number, bytes: readonly number[]): number[] {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return [number * 8 + 2, ...length, ...bytes];
}

const text = (value: string) => [2, ...new TextEncoder().encode(value), 0];

test("commits and their outcomes are read off the wire", () => {
  const value = [...encode({ a: 1 }, null)];
  const key = [...text("run"), ...text("me"), ...text("run_1")];
  const numbered = [...text("pending"), 33, 1, 2, 3, 4, 5, 6, 7, 8, ...text("run_1")];
  const body = Uint8Array.from([
    ...field(1, field(1, key)),
    ...field(2, [...field(1, key), ...field(2, [...field(1, value), 16, 3]), 24, 1]),
    ...field(2, [...field(1, numbered), 24, 2]),
  ]);
  expect(parseCommit(body)).toEqual([
    { key: ["run", "me", "run_1"], value: Uint8Array.from(value) },
    { key: ["pending", "run_1"], value: null },
  ]);
  expect(parseOutcome(Uint8Array.from([8, 1, ...field(2, [0, 7])]))).toBe("0007");
  expect(parseOutcome(Uint8Array.from([8, 2]))).toBeNull();
});

describe("the witness", () => {
  const record = newRecord(1, "me", "draw", { prompt: "a dog" }, {}, null);
  let version = 0;
  const write = (token: number, sequence: number, state: RunState, step: number, leased = false): WireWrite[] => [
    { key: ["run", "me", record.id], value: encode({ ...record, token, sequence, state, step }, null) },
    ...(leased ? [{ key: ["lease", record.id], value: new Uint8Array(1) }] : []),
  ];
  const seen = (writes: readonly (readonly [string, WireWrite[]])[]) => {
    const witness = new Witness();
    for (const [by, write] of writes) witness.saw(by, String(version++).padStart(9, "0"), write);
    return witness.stale().length;
  };
  const begun = [
    ["front", write(0, 1, "queued", 0)],
    ["one", write(1, 2, "running", 0, true)],
    ["one", write(1, 4, "running", 2)],
  ] as const;

  test("has nothing against runs that are taken over, handed back, cancelled and resumed", () => {
    expect(seen([...begun, ["two", write(2, 5, "running", 2, true)], ["two", write(2, 9, "succeeded", 6)]])).toBe(0);
    expect(seen([...begun, ["two", write(1, 5, "queued", 2)], ["one", write(2, 6, "running", 2, true)]])).toBe(0);
    expect(seen([...begun, ["one", write(1, 5, "paused", 2)], ["front", write(1, 6, "queued", 2)]])).toBe(0);
  });

  test.each<[string, [string, WireWrite[]][]]>([
    ["under an old token", [["two", write(2, 5, "running", 2, true)], ["one", write(1, 6, "running", 3)]]],
    ["over newer events", [["one", write(1, 6, "running", 3)], ["one", write(1, 5, "running", 3)]]],
    ["after it was put back", [["two", write(1, 5, "queued", 2)], ["one", write(1, 6, "running", 3)]]],
    ["of a step, by another", [["two", write(1, 5, "succeeded", 6)]]],
  ])("sees a write %s", (_, writes) => {
    expect(seen([...begun, ...writes])).toBe(1);
  });
});

test("takeovers are late beyond the lease and a second, and what was reclaimed goes first", () => {
  const record = { ...newRecord(1, "me", "draw", {}, {}, null), id: "run_1" };
  const event = (time: number, type: string, data: Record<string, unknown>): RunEvent => ({
    time,
    type,
    data,
    sequence: 1,
  });
  const judged = (started: number, others: readonly number[], idle: boolean, late = 0) => {
    const violations = new Violations();
    const records = new Map<string, RunRecord>([["run_1", record]]);
    const events = new Map<string, readonly RunEvent[]>([
      ["run_1", [
        event(1500, "run.requeued", { reason: "worker_lost", wait_ms: 0 }),
        event(started, "run.started", { claim: 2 }),
      ]],
      ...others.map((time, i) => [`run_x${i}`, [event(time, "run.started", { claim: 1 })]] as const),
    ]);
    const loss: Loss = { fault: "stall_past_lease", at: 1000, runs: [{ owner: "me", id: "run_1", token: 1 }], idle };
    const { notJudged } = judgeTakeovers([loss], records, events, 3000, 2, { between: () => late }, violations);
    return { ...violations.byName, ...notJudged.length > 0 && { notJudged: notJudged.length } };
  };
  expect(judged(4990, [], true)).toEqual({});
  expect(judged(5010, [], true)).toEqual({ takeover_late: 1 });
  expect(judged(4990, [], true, 500)).toEqual({});
  expect(judged(5010, [], true, 10)).toEqual({ notJudged: 1 });
  expect(judged(5010, [], true, 9)).toEqual({ takeover_late: 1 });
  expect(judged(9000, [1600, 1700], false)).toEqual({});
  expect(judged(9000, [1600, 1700, 1800], false)).toEqual({ reclaimed_not_first: 1 });
});

test("what the machine withheld is this process's lag and the waiting of the worker that waited most", async () => {
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  let waited = 1000;
  const meter = new LagMeter(() => [1, 2, 3], (process) => (process === 1 ? waited : process === 2 ? 7 : null));
  try {
    const from = Date.now();
    await pause(150);
    const quiet = Date.now();
    await pause(5); // a look in the same millisecond would see both
    waited += 5000;
    await pause(150);
    expect(meter.between(from, quiet)).toBeLessThan(5000);
    expect(meter.between(from, Date.now())).toBeGreaterThanOrEqual(5000);
  } finally {
    meter.stop();
  }
});

test("the same seed plans the same, another seed other faults; the full plan has 200 runs and every fault", () => {
  const plan = ({ runs, burst, faults, side }: ReturnType<typeof planOf>) => ({ runs, burst, faults, side });
  expect(plan(planOf(7, true, ["draw", "answer"], ""))).toEqual(plan(planOf(7, true, ["draw", "answer"], "")));
  expect(planOf(8, true, ["draw"], "").faults).not.toEqual(planOf(7, true, ["draw", "answer"], "").faults);
  const full = planOf(1, false, ["draw"], "");
  expect(full.runs.length + full.burst.length).toBeGreaterThanOrEqual(200);
  for (const name of PROCESS_FAULTS) expect(full.faults).toContain(name);
});

test("every task takes part, in the burst too; of each is asked only what it can be asked", () => {
  const { runs, burst, more } = planOf(1, true, TASKS, "");
  for (const list of [runs, burst]) expect(new Set(list.map(({ task }) => task))).toEqual(new Set(TASKS));
  const all = [...runs, ...burst, ...Array.from({ length: 40 }, more)];
  for (const [behaviour, tasks] of Object.entries(ONLY_OF)) {
    const asked = all.filter((run) => run.behaviour === behaviour);
    expect(asked.length, behaviour).toBeGreaterThan(0);
    for (const { task } of asked) expect(tasks, behaviour).toContain(task);
  }
});

test("a worker that ends unasked is a violation with its last words, but for one that met no store at its start", () => {
  const end = { name: "worker-1", how: "code 1", born: 1000, ended: 2000, worked: false, said: "" };
  const refused = "error: no answer (store_unreachable)\n  fix: start denokv\n";
  const judged = (changes: Partial<UnaskedEnd>, from: number, to: number) => {
    const violations = new Violations();
    const excused = judgeEnds([{ ...end, ...changes }], [{ from, to }], violations);
    return [excused.length, violations.lines];
  };
  expect(judged({ said: refused }, 1500, 2500)).toEqual([1, []]);
  expect(judged({ said: refused }, 2500, 3500)[0]).toBe(0);
  expect(judged({ said: refused, worked: true }, 1500, 2500)[0]).toBe(0);
  const trace = Array.from({ length: 20 }, (_, i) => `    at f${i} (file.ts:1:2)`).join("\n");
  const crash = `one\nerror: Uncaught (in promise) TypeError: x\n${trace}`;
  expect(judged({ said: crash, how: "SIGSEGV" }, 1500, 2500)).toEqual([
    0,
    [expect.stringMatching(/^worker_ended: worker-1 ended with SIGSEGV after 1000 ms: error: Uncaught .*: x \| .*f4 /)],
  ]);
});

test("a trap that a commit has sprung is no longer taken away: its fault comes about, and is told", async () => {
  const answered = Promise.withResolvers<void>();
  const upstream = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async () => {
    await answered.promise;
    return new Response(new Uint8Array([8, 2]));
  });
  const proxy = new StoreProxy("one", `http://127.0.0.1:${upstream.addr.port}`, new Witness());
  try {
    const unmet = proxy.set("before", false);
    unmet.take();
    expect(await unmet.sprung).toBe(false);
    let acted = 0;
    const { sprung, take } = proxy.set("after", false, () => ++acted > 0);
    const commit = fetch(`${proxy.address}/v2/atomic_write`, { method: "POST", body: new Uint8Array() });
    await new Promise((resolve) => setTimeout(resolve, 100));
    take();
    answered.resolve();
    expect(await sprung).toBe(true);
    expect(acted).toBe(1);
    await (await commit).body?.cancel();
  } finally {
    await proxy.close();
    await upstream.shutdown();
  }
});
