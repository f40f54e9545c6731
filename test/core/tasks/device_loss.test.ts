/** A GPU that is lost in the middle of a step: the thread is made anew and every draw goes on from its state. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { UnmaskError } from "../../../core/errors.ts";
import { openInference, type RemoteInference } from "../../../core/tasks/remote.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { writeSmallFolder } from "../model/small_model.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;
const input = { prompt: "a photo of a dog", seed: 5, steps: 8, guidance: 1.5 };

describeWebGpu("a lost GPU", () => {
  const before = Deno.env.get("UNMASK_ALLOW_SOFTWARE_GPU");
  const restarts: UnmaskError[] = [];
  const channel = new BroadcastChannel("lose the device");
  let folder: string;
  let inference: RemoteInference;
  beforeAll(async () => {
    Deno.env.set("UNMASK_ALLOW_SOFTWARE_GPU", "1");
    folder = await Deno.makeTempDir();
    await writeSmallFolder(folder);
    inference = await openInference({
      modelFolder: folder,
      provider: "webgpu",
      entry: new URL("./threads/losing.ts", import.meta.url),
      onRestart: (reason) => restarts.push(reason),
    });
  }, SLOW);
  afterAll(async () => {
    channel.close();
    await inference?.close();
    await Deno.remove(folder, { recursive: true });
    if (before === undefined) Deno.env.delete("UNMASK_ALLOW_SOFTWARE_GPU");
    else Deno.env.set("UNMASK_ALLOW_SOFTWARE_GPU", before);
  });

  test("draws under way give the pictures that they would have given, bit for bit", async () => {
    const seeds = [1, 2];
    const alone = [];
    for (const seed of seeds) alone.push((await inference.draw({ ...input, seed })).picture);
    expect(restarts).toEqual([]);
    let told = false;
    const steps: string[] = [];
    const onStep = (seed: number) => (step: number) => {
      steps.push(`${seed}:${step}`);
      if (step === 3 && !told) {
        told = true;
        channel.postMessage(1); // the step after the next one
      }
    };
    const drawn = await Promise.all(
      seeds.map((seed) => inference.draw({ ...input, seed }, { onStep: onStep(seed) })),
    );
    expect(restarts.map(({ code }) => code)).toEqual(["gpu_device_lost"]);
    expect(drawn.map(({ picture }) => picture)).toEqual(alone);
    // No step is told twice and none is left out.
    expect([...steps].sort()).toEqual(seeds.flatMap((seed) => [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `${seed}:${n}`)));
    expect(inference.death).toBeUndefined();
    expect(inference.info.provider).toBe("webgpu");
  }, SLOW);

  test("a stepper that is driven from outside goes on too, and so do those that only wait", async () => {
    const { steps } = inference;
    if (steps === undefined) throw new Error("no steps");
    const state = await steps.start(input);
    // Not ahead, so that it is known which step is lost; draws take theirs ahead.
    const [first, waiting] = [await steps.open(state, "draw", false), await steps.open(state, "draw", false)];
    const one = await first.step();
    expect(await waiting.step()).toEqual(one);
    channel.postMessage(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const two = await first.step();
    expect(two?.step).toBe(2);
    expect(await waiting.step()).toEqual(two);
    expect(restarts.length).toBe(2);
    await first.close();
    await waiting.close();
  }, SLOW);

  test("what comes back as another engine is refused: its numbers would be recorded as the first one's", async () => {
    const told = restarts.length;
    const other = await openInference({
      modelFolder: folder,
      provider: "cpu",
      threads: 1,
      entry: new URL("./threads/changing.ts", import.meta.url),
      onRestart: (reason) => restarts.push(reason),
    });
    await expect(other.draw(input)).rejects.toMatchObject({ code: "engine_changed", status: 503 });
    expect(restarts.length).toBe(told);
    await other.close();
  }, SLOW);
});
