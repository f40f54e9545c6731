/** The embedded model in its thread, on the CPU provider. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import { openFolder } from "../../../core/model/folder.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { openInference, type RemoteInference } from "../../../core/tasks/remote.ts";
import { loadModel } from "../../../core/tasks/thread_handlers.ts";
import { runHere } from "../../../core/tasks/run_here.ts";

const load = { modelFolder: "models/scenes", provider: "cpu", threads: 1 } as const;
const input = { prompt: "a photo of a dog", seed: 7, steps: 6 };
let inference: RemoteInference;

beforeAll(async () => {
  inference = await openInference(load);
});

afterAll(async () => {
  await inference.close();
});

test("it says what is really used", async () => {
  const engine = await openEngine(load);
  const model = { model: "scenes", imageSize: 256, tasks: ["draw", "answer", "ground"], loaded: expect.any(Array) };
  expect(inference.info).toEqual({ ...engine.info, ...model });
  await engine.close();
});

test("it says what is loaded and how much that weighs", async () => {
  const { loaded } = inference.info;
  expect(loaded.map(({ graph }) => graph)).toEqual(["prompt", "draw_prefix", "vq_decode"]);
  const folder = await openFolder("models/scenes");
  const decoder = [...modelLayout(folder.config)].filter(([name]) => /vqvae\.(decoder|post_quant|quantize)/.test(name));
  const numbers = decoder.reduce((sum, [, { dims }]) => sum + dims.reduce((a, b) => a * b, 1), 0);
  await folder.close();
  // fp32 in memory, and some constants.
  expect(loaded[2]?.bytes).toBeGreaterThanOrEqual(4 * numbers);
  expect(loaded[2]?.bytes).toBeLessThan(1.01 * 4 * numbers);
});

test("a draw equals the same draw in one thread, bit for bit", async () => {
  const loaded = await loadModel(load);
  const expected = await runHere(loaded.draw, input, loaded.model);
  const steps: string[] = [];
  const drawn = await inference.draw(input, { onStep: (step, of) => steps.push(`${step}/${of}`) });
  expect(drawn.picture).toEqual(expected.picture);
  expect(drawn).toMatchObject({ seed: 7, steps: 6, imageTokens: 256, promptTokens: expected.promptTokens });
  expect(steps).toEqual(["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]);
  expect(drawn.seconds).toBeGreaterThan(0);
  await loaded.model.close();
  await loaded.engine.close();
});

test("draws in flight take steps in turn, and none changes another's picture", async () => {
  const seeds = [1, 2, 3];
  const alone: unknown[] = [];
  for (const seed of seeds) alone.push((await inference.draw({ ...input, seed })).picture);
  const log: number[] = [];
  const start = performance.now();
  const together = await Promise.all(
    seeds.map((seed) => inference.draw({ ...input, seed }, { onStep: () => log.push(seed) })),
  );
  const wall = (performance.now() - start) / 1000;
  expect(together.map(({ picture }) => picture)).toEqual(alone);
  // Each counts its own turns only, so together they cannot exceed the time that passed.
  expect(together.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(wall);
  expect(new Set(together.map(({ picture }) => picture.data.join())).size).toBe(3);
  for (let turn = 1; turn < 5; turn++) {
    expect(new Set(log.slice(3 * turn, 3 * turn + 3)), `turn ${turn} of ${log}`).toEqual(new Set(seeds));
  }
});

test("an abort ends one draw at its next step and leaves the others alone", async () => {
  const controller = new AbortController();
  let steps = 0;
  const aborted = inference.draw({ ...input, steps: 60 }, {
    signal: controller.signal,
    onStep: () => ++steps === 2 && controller.abort(new Error("client gone")),
  });
  const other = inference.draw(input);
  await expect(aborted).rejects.toThrow("client gone");
  expect(steps).toBe(2);
  expect((await other).picture).toEqual((await inference.draw(input)).picture);
  await expect(inference.draw(input, { signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
});

test("refusals keep their codes on the way out of the thread", async () => {
  await expect(inference.draw({ ...input, steps: 0 })).rejects.toMatchObject({ code: "steps_out_of_range" });
  await expect(inference.draw({ ...input, prompt: " " })).rejects.toMatchObject({ code: "prompt_empty" });
  await expect(inference.draw({ ...input, prompt: "a photo of a xylophonist" })).rejects.toMatchObject({
    code: "unknown_words",
    param: "prompt",
  });
  await expect(inference.draw({ ...input, size: "512x512" })).rejects.toMatchObject({ code: "size_unsupported" });
});

test("with one slot a second draw waits, but its refusal does not", async () => {
  const narrow = await openInference({ ...load, slots: 1 });
  const log: number[] = [];
  const draws = [1, 2].map((seed) => narrow.draw({ ...input, seed }, { onStep: () => log.push(seed) }));
  await expect(narrow.draw({ ...input, prompt: "xyzzy" })).rejects.toMatchObject({ code: "unknown_words" });
  expect(log.length).toBeLessThan(12);
  await Promise.all(draws);
  expect(log.slice(0, 6)).toEqual(Array(6).fill(log[0]));
  await narrow.close();
});

test("closing lets no draw hang", async () => {
  const short = await openInference(load);
  const draw = short.draw({ ...input, steps: 200 }, { onStep: (step) => step === 2 && void short.close() });
  await expect(draw).rejects.toMatchObject({ code: "thread_closed" });
  await expect(short.draw(input)).rejects.toMatchObject({ code: "thread_closed" });
});

test("a folder that is not there is said so", async () => {
  await expect(openInference({ ...load, modelFolder: "models/none" })).rejects.toMatchObject({
    code: "folder_missing",
  });
});
