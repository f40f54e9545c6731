/**
 * A run that begins on one provider and ends on another: it goes on from its snapshot, and its record says that two
 * numerics took part. A model with random weights in a folder, each provider in an inference thread of its own.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Ledger } from "../../../core/runs/ledger.ts";
import type { RunRecord } from "../../../core/runs/record.ts";
import { Runs } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import type { StepEngine } from "../../../core/runs/step_engine.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Store } from "../../../core/runs/store/types.ts";
import { threadEngine } from "../../../core/runs/thread_engine.ts";
import { Worker } from "../../../core/runs/worker.ts";
import { openInference, type RemoteInference } from "../../../core/tasks/remote.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { writeSmallFolder } from "../model/small_model.ts";
import { plainFile } from "./table_engine.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;
const OWNER = "somebody";
const input = { prompt: "a photo of a dog", seed: 5, steps: 8, guidance: 1.5 };
const PROVIDERS = ["cpu", "webgpu"] as const;
type Name = typeof PROVIDERS[number];

describeWebGpu("a run across providers", () => {
  const before = Deno.env.get("UNMASK_ALLOW_SOFTWARE_GPU");
  const inferences: Partial<Record<Name, RemoteInference>> = {};
  const engines: Partial<Record<Name, StepEngine>> = {};
  const engine = (name: Name): StepEngine => {
    const found = engines[name];
    if (found === undefined) throw new Error(`no ${name} engine`);
    return found;
  };
  let folder: string;
  let store: Store;
  let ledger: Ledger;
  let runs: Runs;
  beforeAll(async () => {
    Deno.env.set("UNMASK_ALLOW_SOFTWARE_GPU", "1");
    folder = await Deno.makeTempDir();
    await writeSmallFolder(folder);
    for (const provider of PROVIDERS) {
      const inference = inferences[provider] = await openInference({ modelFolder: folder, provider, threads: 1 });
      if (inference.steps === undefined) throw new Error("no steps");
      engines[provider] = await threadEngine(inference.info, inference.steps, folder);
    }
  }, SLOW);
  afterAll(async () => {
    for (const inference of Object.values(inferences)) await inference.close();
    await Deno.remove(folder, { recursive: true });
    if (before === undefined) Deno.env.delete("UNMASK_ALLOW_SOFTWARE_GPU");
    else Deno.env.set("UNMASK_ALLOW_SOFTWARE_GPU", before);
  });
  beforeEach(async () => {
    store = await openMemory();
    ledger = new Ledger(store);
    runs = new Runs({ ledger, kinds: [drawKind] });
  });
  afterEach(() => store.close());

  async function until(id: string, wanted: (record: RunRecord) => boolean): Promise<RunRecord> {
    for (const end = performance.now() + SLOW; performance.now() < end;) {
      const record = await runs.get(OWNER, id);
      if (wanted(record)) return record;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${id} did not get there: ${JSON.stringify(await runs.get(OWNER, id))}`);
  }

  /** Works until the record is as wanted, and hands back. */
  async function work(
    name: Name,
    id: string,
    wanted: (record: RunRecord) => boolean,
    by: StepEngine = engine(name),
  ): Promise<RunRecord> {
    const worker = new Worker({ ledger, engine: by, kinds: [drawKind], encode: plainFile, poll: 20 });
    worker.start();
    try {
      return await until(id, wanted);
    } finally {
      await worker.stop();
    }
  }

  /** Takes three steps and hands back: the fourth waits until the three were seen, however fast the engine is. */
  async function workHalf(name: Name, id: string): Promise<RunRecord> {
    const inner = engine(name);
    const seen = Promise.withResolvers<void>();
    const halting: StepEngine = {
      ...inner,
      async open(task, state) {
        const steps = await inner.open(task, state);
        let taken = 0;
        return {
          async step() {
            if (taken++ === 3) await seen.promise;
            return await steps.step();
          },
          close: () => steps.close(),
        };
      },
    };
    const three = (record: RunRecord) => {
      if (record.step < 3) return false;
      setTimeout(seen.resolve, 50); // by then the worker has been told to stop
      return true;
    };
    return await work(name, id, three, halting);
  }

  const ended = ({ state }: RunRecord) => ["succeeded", "failed"].includes(state);
  const create = async (exact: boolean) =>
    (await runs.create(OWNER, { task: "draw", input, require_exact: exact })).record.id;

  test("the fingerprints of the providers differ", () => {
    expect(engine("cpu").fingerprint).not.toBe(engine("webgpu").fingerprint);
  });

  test.each([["cpu", "webgpu"], ["webgpu", "cpu"]] as const)(
    "begun on %s it ends on %s: not exact, with both fingerprints, and with the same picture but for rounding",
    async (first, second) => {
      const alone = await create(true);
      await work(first, alone, ended);
      expect(await runs.get(OWNER, alone)).toMatchObject({
        state: "succeeded",
        exact: true,
        fingerprints: [engine(first).fingerprint],
      });
      const id = await create(false);
      const half = await workHalf(first, id);
      expect(half.step).toBeLessThan(input.steps);
      const left = await runs.get(OWNER, id);
      expect(left).toMatchObject({ state: "queued", exact: true, fingerprints: [engine(first).fingerprint] });
      const record = await work(second, id, ended);
      expect(record).toMatchObject({
        state: "succeeded",
        exact: false,
        fingerprints: [engine(first).fingerprint, engine(second).fingerprint],
        step: input.steps,
      });
      // Every step is in the log once, whoever took it.
      const [mixed, whole] = [await runs.result(OWNER, id), await runs.result(OWNER, alone)];
      const worst = mixed.bytes.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - (whole.bytes[i] ?? NaN))),
        0,
      );
      expect(mixed.bytes.length).toBe(whole.bytes.length);
      expect(worst).toBeLessThanOrEqual(1);
    },
    SLOW,
  );

  test.each([["cpu", "webgpu"], ["webgpu", "cpu"]] as const)(
    "begun on %s with require=exact it is refused on %s, and says how to go on",
    async (first, second) => {
      const id = await create(true);
      await workHalf(first, id);
      const worker = new Worker({
        ledger,
        engine: engine(second),
        kinds: [drawKind],
        encode: plainFile,
        poll: 20,
        backoff: 20,
      });
      worker.start();
      const refused = await until(id, ({ error }) => error !== null);
      await worker.stop();
      expect(refused.error).toMatchObject({ code: "numerics_differ" });
      expect(refused.fingerprints).toEqual([engine(first).fingerprint]);
      expect(refused.exact).toBe(true);
      expect(refused.step).toBeLessThan(input.steps);
    },
    SLOW,
  );
});
