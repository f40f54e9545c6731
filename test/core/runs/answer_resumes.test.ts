/** An answer about a picture whose worker dies goes on in another one: the same text, told once. */
import { expect, test } from "vitest";
import { encodePicture } from "../../../core/image/codec.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import { eventsAfter } from "../../../core/runs/follow.ts";
import { Runs } from "../../../core/runs/service.ts";
import { KINDS } from "../../../core/runs/state/kinds.ts";
import type { StepEngine } from "../../../core/runs/step_engine.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import { Worker } from "../../../core/runs/worker.ts";
import { picture } from "../tasks/seeing_model.ts";
import { plainFile } from "./table_engine.ts";
import { seeingEngine } from "../../functions/seeing_house.ts";

const OWNER = "somebody";

test("an answer and an edit go on in another worker, with their pictures", async () => {
  const store = await openMemory();
  const ledger = new Ledger(store);
  const runs = new Runs({ ledger, kinds: KINDS });
  const file = await encodePicture(picture(40, 30), "png");
  const asked = [
    { task: "answer", input: { question: "what is it", picture: file, length: 48, block: 8, seed: 2 } },
    { task: "edit", input: { instruction: "make it blue", picture: file, seed: 2, steps: 12 } },
  ];
  const finish = async (engine: StepEngine, killAt: number | null) => {
    const ids: string[] = [];
    for (const request of asked) ids.push((await runs.create(OWNER, request)).record.id);
    let steps = 0;
    const dying = new Worker({
      ledger,
      engine: counted(engine, () => ++steps),
      kinds: KINDS,
      encode: plainFile,
      poll: 10,
      lease: 300,
    });
    dying.start();
    let second: Worker | undefined;
    if (killAt !== null) {
      await expect.poll(() => steps, { timeout: 30_000, interval: 1 }).toBeGreaterThanOrEqual(killAt);
      dying.kill();
      second = new Worker({
        ledger,
        engine: seeingEngine(),
        kinds: KINDS,
        encode: plainFile,
        poll: 10,
        lease: 300,
        spacing: 50,
      });
      second.start();
    }
    const states = async () => await Promise.all(ids.map(async (id) => (await runs.get(OWNER, id)).state));
    await expect.poll(states, { timeout: 60_000 }).toEqual(ids.map(() => "succeeded"));
    await dying.stop();
    await second?.stop();
    return await Promise.all(ids.map(async (id) => {
      let told = "";
      for await (const { type, data } of eventsAfter(ledger, OWNER, id, 0)) if (type === "run.text") told += data.text;
      return { bytes: (await runs.result(OWNER, id)).bytes, told, claims: (await runs.get(OWNER, id)).claims };
    }));
  };
  try {
    const undisturbed = await finish(seeingEngine(), null);
    const disturbed = await finish(seeingEngine(5), 14);
    expect(disturbed.map(({ bytes }) => bytes)).toEqual(undisturbed.map(({ bytes }) => bytes));
    expect(Math.max(...disturbed.map(({ claims }) => claims))).toBeGreaterThan(1);
    for (const runs of [undisturbed, disturbed]) {
      expect(runs[0]?.told).toBe(new TextDecoder().decode(runs[0]?.bytes));
      expect(runs[0]?.told.length).toBeGreaterThan(10);
    }
  } finally {
    await store.close();
  }
});

/** The same engine, telling of each step. */
function counted(engine: StepEngine, onStep: () => void): StepEngine {
  return {
    ...engine,
    async open(task, state) {
      const steps = await engine.open(task, state);
      return {
        ...steps,
        async step() {
          onStep();
          return await steps.step();
        },
      };
    },
  };
}
