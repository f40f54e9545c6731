import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createDraw } from "../../../core/tasks/draw.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import { type Loaded, loadModel, ThreadHandlers } from "../../../core/tasks/thread_handlers.ts";
import { type FakeModel, fakeModel } from "./fake_model.ts";

const input = { prompt: "a photo of a dog", seed: 3, steps: 5 };

function handlers(memory?: number) {
  const closed: string[] = [];
  const model: FakeModel = fakeModel();
  const loaded: Loaded = {
    engine: {
      info: model.info,
      load: () => Promise.reject(new Error("no graphs here")),
      close: () => Promise.resolve(void closed.push("engine")),
    },
    model: { ...model, close: () => Promise.resolve(void closed.push("model")) },
    draw: createDraw(),
    info: { ...model.info, model: "fake", imageSize: 128, loaded: [], tasks: ["draw"] },
  };
  return { thread: new ThreadHandlers(() => Promise.resolve(loaded), memory), model, closed };
}

/** Draws of these seeds, opened together, a step of each by turns to the last; their states are folded here. */
async function inTurn(
  thread: ThreadHandlers,
  seeds: readonly number[],
  draw: ReturnType<typeof createDraw>,
  afterStep: () => void = () => {},
) {
  const runs = await Promise.all(seeds.map(async (seed) => {
    const state = await thread.calls.start({ ...input, seed }) as DrawState;
    return { seed, state, id: await thread.calls.open(state) };
  }));
  for (let step = 0; step < input.steps; step++) {
    for (const run of runs) {
      const delta = await thread.calls.step(run.id);
      if (delta === null) throw new Error("it ended early");
      run.state = draw.fold(run.state, delta);
      afterStep();
    }
  }
  return runs;
}

test("start, open, step, fold here, result: as in one thread; steppers of several runs stay apart", async () => {
  const { thread, model } = handlers();
  await thread.calls.load({ modelFolder: "any" });
  const draw = createDraw();
  const runs = await inTurn(thread, [1, 2], draw);
  for (const { seed, state, id } of runs) {
    expect(await thread.calls.step(id)).toBeNull();
    thread.calls.close(id);
    expect(await thread.calls.result(state)).toEqual(await runHere(draw, { ...input, seed }, fakeModel()));
    await expect(thread.calls.step(id)).rejects.toThrow("not open");
  }
  expect(model.open()).toBe(0);
});

test("within a memory budget those that wait are closed and opened again, and draw the same", async () => {
  // Two rows of a guided draw are 2,000 bytes here: room for one, and for two.
  for (const [memory, most] of [[2000, 1], [4000, 2], [1, 1]] as const) {
    const { thread, model } = handlers(memory);
    await thread.calls.load({ modelFolder: "any" });
    const draw = createDraw();
    const runs = await inTurn(thread, [1, 2, 3], draw, () => expect(model.open()).toBeLessThanOrEqual(most));
    expect(model.open()).toBe(most);
    for (const { seed, state, id } of runs) {
      thread.calls.close(id);
      expect(await thread.calls.result(state)).toEqual(await runHere(draw, { ...input, seed }, fakeModel()));
    }
    expect(model.open()).toBe(0);
  }
});

test("without one short of room they all stay open", async () => {
  const { thread, model } = handlers();
  await thread.calls.load({ modelFolder: "any" });
  for (const seed of [1, 2, 3]) {
    await thread.calls.step(await thread.calls.open(await thread.calls.start({ ...input, seed })));
  }
  expect(model.open()).toBe(3);
  await thread.shutDown();
});

test("shutting down closes open steppers, then the model, then the engine", async () => {
  const { thread, model, closed } = handlers();
  await thread.calls.load({ modelFolder: "any" });
  const id = await thread.calls.open(await thread.calls.start(input));
  await thread.calls.step(id);
  expect(model.open()).toBe(1);
  await thread.shutDown();
  expect(model.open()).toBe(0);
  expect(closed).toEqual(["model", "engine"]);
  await expect(thread.calls.start(input)).rejects.toThrow("no model is loaded");
});

test("a thread has one model", async () => {
  const { thread } = handlers();
  await expect(thread.calls.start(input)).rejects.toThrow("no model is loaded");
  await thread.calls.load({ modelFolder: "any" });
  await expect(thread.calls.load({ modelFolder: "any" })).rejects.toThrow(RangeError);
});

test("broken small files of a model folder are named before anything is loaded", async () => {
  const folder = await mkdtemp(join(tmpdir(), "unmask-"));
  await writeFile(join(folder, "generation.json"), '{"generation": {"steps": "many"}}');
  await expect(loadModel({ modelFolder: folder })).rejects.toMatchObject({ code: "generation_invalid" });
  await writeFile(join(folder, "generation.json"), "{");
  await expect(loadModel({ modelFolder: folder })).rejects.toMatchObject({ code: "generation_invalid" });
  await writeFile(join(folder, "lexicon.json"), "[]");
  await expect(loadModel({ modelFolder: folder })).rejects.toMatchObject({ code: "lexicon_invalid" });
});

test("a task that the weights cannot do is refused by name, and so is one that nobody knows", async () => {
  const { thread } = handlers();
  await thread.calls.load({ modelFolder: "any" });
  for (const task of ["answer", "ground", "edit"] as const) {
    await expect(thread.calls.start({ question: "what" }, task)).rejects.toMatchObject({
      code: "task_not_supported",
      message: expect.stringContaining(`cannot ${task}`),
      status: 400,
    });
  }
  await expect(thread.calls.start({}, "sing" as "draw")).rejects.toMatchObject({ code: "task_unknown" });
});
