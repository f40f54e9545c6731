import { afterEach, expect, test } from "vitest";
import { Begun } from "../../../core/runs/begun.ts";
import type { OpenSteps } from "../../../core/runs/step_engine.ts";
import { threadEngine } from "../../../core/runs/thread_engine.ts";
import type { RemoteInference, RemoteSteps } from "../../../core/tasks/remote.ts";

/** Steps that tell what became of them. */
function counted() {
  const told = { opened: 0, closed: 0 };
  const open = (): Promise<OpenSteps> => {
    told.opened++;
    const close = () => {
      told.closed++;
      return Promise.resolve();
    };
    return Promise.resolve({ step: () => Promise.resolve(null), close });
  };
  return { told, open };
}

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await Deno.remove(folder, { recursive: true });
});

test("a run takes over what was begun from its state; what was begun for another is closed", async () => {
  const { told, open } = counted();
  const begun = new Begun(open);
  const [mine, other] = [{}, {}];
  begun.begin("draw", mine);
  // One at a time: an engine has one thing to do.
  begun.begin("draw", other);
  expect(told.opened).toBe(1);
  const steps = await begun.take(mine, open);
  expect(told).toEqual({ opened: 1, closed: 0 });
  // Something is at work.
  begun.begin("draw", other);
  expect(told.opened).toBe(1);
  await steps.close();
  await steps.close();
  begun.begin("draw", other);
  expect(told.opened).toBe(2);
  await begun.take(mine, open);
  expect(told).toEqual({ opened: 3, closed: 3 });
});

test("what nobody comes for is closed", async () => {
  const { told, open } = counted();
  const begun = new Begun(open, 20);
  begun.begin("draw", {});
  await expect.poll(() => told.closed).toBe(1);
  begun.begin("draw", {});
  expect(told.opened).toBe(2);
});

test("a beginning that fails is its run's failure, and the engine is free again", async () => {
  const { told, open } = counted();
  let broken = true;
  const begun = new Begun(() => broken ? Promise.reject(new Error("lost")) : open());
  const state = {};
  begun.begin("draw", state);
  await expect(begun.take(state, open)).rejects.toThrow("lost");
  broken = false;
  begun.begin("draw", state);
  expect(told.opened).toBe(1);
});

test("a check begins the run that it is for, unless it may not or the input holds a picture", async () => {
  const folder = await Deno.makeTempDir();
  folders.push(folder);
  await Deno.writeTextFile(`${folder}/model.safetensors`, "weights");
  const { told, open } = counted();
  const steps = { start: () => Promise.resolve({}), open } as unknown as RemoteSteps;
  const info = { provider: "cpu", runtime: "none", device: "none", threads: 1 } as RemoteInference["info"];
  const engine = await threadEngine(info, steps, folder);
  await engine.check("draw", { prompt: "a dog" }, false);
  await engine.check("edit", { picture: new Uint8Array(3) }, true);
  expect(told.opened).toBe(0);
  await engine.check("draw", { prompt: "a cat" }, true);
  expect(told.opened).toBe(1);
  const opened = await engine.open("draw", await engine.start("draw", { prompt: "a cat" }));
  expect(told).toEqual({ opened: 1, closed: 0 });
  await opened.close();
  expect(told.closed).toBe(1);
});
