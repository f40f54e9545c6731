/** What a run would cost, on a front that has nothing but the store. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodePicture } from "../../../core/image/codec.ts";
import { estimate } from "../../../core/runs/estimate.ts";
import { keys } from "../../../core/runs/keys.ts";
import { Ledger } from "../../../core/runs/ledger.ts";
import { cardOf, type ModelCard, writeCard } from "../../../core/runs/model_card.ts";
import { Runs } from "../../../core/runs/service.ts";
import { KINDS } from "../../../core/runs/state/kinds.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Store } from "../../../core/runs/store/types.ts";
import { TASKS } from "../../../core/tasks/all_tasks.ts";
import { picture } from "../tasks/seeing_model.ts";
import { Bench, INPUT } from "./run_bench.ts";

const MODEL = "models/scenes";
let store: Store;
let runs: Runs;

beforeEach(async () => {
  store = await openMemory();
  runs = new Runs({ ledger: new Ledger(store), kinds: KINDS });
});
afterEach(() => store.close());

/** Of a model that does everything: the embedded one's sizes. */
const seeing = (): Promise<ModelCard> => cardOf(MODEL, "seeing", TASKS);

const ask = (task: string, input: Record<string, unknown>) => estimate(runs, null, task, input);

test("no worker was ever here: nothing is known, and it says so", async () => {
  expect(await ask("draw", { prompt: "a photo of a dog", steps: 5 })).toEqual({
    steps: null,
    tokens: null,
    seconds: null,
    reason: expect.stringContaining("no worker has opened"),
  });
});

test("steps and tokens come from the model's own sizes and defaults, seconds from what a worker measured", async () => {
  await writeCard(store, await cardOf(MODEL, "scenes", ["draw"]));
  // 64 steps are scenes' own default (generation.json), on 16x16 positions.
  const unmeasured = { steps: 64, tokens: 256, seconds: null, reason: expect.stringContaining("measured") };
  expect(await ask("draw", { prompt: "a photo of a dog" })).toEqual(unmeasured);
  const value = { fingerprint: "some worker's", step_ms: 20, tail_ms: 100 };
  await store.commit({ sets: [{ key: keys.rate("draw"), value }] });
  expect(await ask("draw", { prompt: "a photo of a dog", steps: 5 })).toEqual({ steps: 5, tokens: 256, seconds: 0.2 });
});

test("of every task, with its pictures", async () => {
  await writeCard(store, await seeing());
  const file = (await encodePicture(picture(40, 30), "png")).toBase64();
  const cases = [
    ["draw", { prompt: "a photo of a dog", steps: 7 }, 7, 256],
    ["answer", { question: "what is it", picture: file, length: 12, block: 4 }, 12, 12],
    ["ground", { picture: file, expressions: ["a dog", "a cup"], steps: 3 }, 3, 8],
    ["edit", { instruction: "make the cup red", picture: file, mask: file, steps: 6 }, 6, 256],
    ["plan", { prompt: "a photo of a dog", length: 16, block: 8, stepsPerBlock: 4 }, 8, 16],
    // Of one round: a drawing, and a verdict of 32 tokens.
    ["reflect", { prompt: "a photo of a dog", steps: 6, plan: false, rounds: 2 }, 38, 288],
  ] as const;
  expect(cases.map(([task]) => task).toSorted()).toEqual(KINDS.map(({ name }) => name).toSorted());
  for (const [task, input, steps, tokens] of cases) {
    expect(await ask(task, input), task).toMatchObject({ steps, tokens, seconds: null });
  }
});

test("refuses what a worker would refuse", async () => {
  await writeCard(store, await cardOf(MODEL, "scenes", ["draw"]));
  await expect(ask("answer", { question: "why" })).rejects.toMatchObject({ code: "task_not_supported" });
  await expect(ask("draw", { prompt: "a photo of a dog", steps: 0 })).rejects.toMatchObject({
    code: "steps_out_of_range",
  });
  await expect(ask("draw", { prompt: "a photo of a dog", size: "64x64" })).rejects.toMatchObject({
    code: "size_unsupported",
  });
  await expect(ask("draw", { prompt: "a quark" })).rejects.toMatchObject({ param: "prompt" });
  await expect(ask("sing", {})).rejects.toMatchObject({ code: "task_unknown" });
});

test("a worker's measure is written once a run has ended", async () => {
  const bench = await Bench.open();
  try {
    bench.worker();
    await bench.until(await bench.create(), ({ state }) => state === "succeeded");
    await expect.poll(() => bench.store.get(keys.rate("draw")), { timeout: 20_000 }).not.toBeNull();
    await writeCard(bench.store, await cardOf(MODEL, "scenes", ["draw"]));
    const { seconds } = await estimate(bench.runs, null, "draw", INPUT);
    expect(seconds).toBeGreaterThan(0.1);
  } finally {
    await bench.close();
  }
});
