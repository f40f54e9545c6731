/**
 * The step loop on the GPU: a draw's ids, prompt and logits stay there, and what comes back is counted at the WebGPU API
 * itself. A model with random weights, small enough for a software adapter.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import { difference, type GpuCounts, type GpuWatch, watchGpu } from "../../../core/engine/gpu_watch.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Model } from "../../../core/model/types.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import type { DrawInput } from "../../../core/tasks/draw_input.ts";
import type { DrawState } from "../../../core/tasks/draw_state.ts";
import { type DrawSetup, DrawStepper } from "../../../core/tasks/draw_stepper.ts";
import type { Delta } from "../../../core/tasks/task.ts";
import { warmUp } from "../../../core/tasks/warm_up.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { randomWeights, smallConfig, smallTokenizer } from "../model/small_model.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;
/** Newly revealed ids and 64 bytes, whatever the step. */
const MOST_BYTES = 4096 + 64;

const draw = createDraw();
const input: DrawInput = { prompt: "a photo of a dog", seed: 5, steps: 6, guidance: 1.5 };

async function open(engine: Engine, attention: "prefix" | "full"): Promise<Model> {
  const config = smallConfig({ prompt_attention: attention });
  return await createModel({ config, weights: randomWeights(config), tokenizer: smallTokenizer(), engine });
}

/** A whole run, and what WebGPU was asked for in each step. */
async function run(model: Model, request: DrawInput, watch?: GpuWatch, from?: DrawState) {
  let state = from ?? draw.start(request, model);
  const deltas: Delta[] = [];
  const steps: GpuCounts[] = [];
  const stepper = await draw.open(state, model);
  for (;;) {
    const before = watch?.counts();
    const delta = await stepper.step();
    if (delta === null) break;
    if (watch !== undefined && before !== undefined) steps.push(difference(before, watch.counts()));
    state = draw.fold(state, delta);
    deltas.push(delta);
  }
  stepper.close();
  return { deltas, steps, state };
}

describeWebGpu("the resident loop", () => {
  let watch: GpuWatch;
  let engine: Engine;
  let cpu: Engine;
  const models: Partial<Record<"prefix" | "full" | "reference", Model>> = {};
  const model = (name: keyof typeof models): Model => {
    const found = models[name];
    if (found === undefined) throw new Error(`no ${name} model`);
    return found;
  };
  beforeAll(async () => {
    watch = watchGpu();
    engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
    cpu = await openEngine({ provider: "cpu", threads: 1 });
    models.prefix = await open(engine, "prefix");
    models.reference = await open(cpu, "prefix");
  }, SLOW);
  afterAll(async () => {
    for (const each of Object.values(models)) await each.close();
    await engine?.close();
    await cpu?.close();
    watch?.stop();
  });

  test("after the warm-up no draw compiles anything, whatever its prompt, steps, guidance and order", async () => {
    const cold = watch.counts();
    await warmUp(model("prefix"));
    expect(difference(cold, watch.counts()).pipelines).toBeGreaterThan(10);
    const words = (n: number) => `a photo of a ${Array.from({ length: n }, () => "dog").join(" ")}`;
    const requests: Partial<DrawInput>[] = [
      ...[1, 3, 9].map((n) => ({ prompt: words(n), steps: 2 })),
      ...[1, 7, 18].map((steps) => ({ steps })),
      { guidance: 0, prompt: words(2), steps: 3 },
      { guidanceInterval: [0.4, 0.8], steps: 3 },
      { order: "confidence", steps: 3, topK: 20, topP: 0.9 },
      { order: "confidence", steps: 2, guidance: 0, confidencePolicy: "mask_git", confidenceTemperature: 2 },
    ];
    for (const request of requests) {
      const before = watch.counts();
      const { state } = await run(model("prefix"), { ...input, ...request });
      await draw.result(state, model("prefix"));
      expect(difference(before, watch.counts()).pipelines, JSON.stringify(request)).toBe(0);
    }
  }, SLOW);

  test("one read a step, of the newly revealed ids alone; pipelines and buffers flat once warm", async () => {
    const warm = await run(model("prefix"), input, watch);
    const before = watch.counts();
    const { steps, deltas } = await run(model("prefix"), input, watch);
    const after = difference(before, watch.counts());
    console.info(
      `warm-up ${JSON.stringify(warm.steps[0])}; each step then ` +
        steps.map(({ reads, readBytes, writeBytes, dispatches, submissions, pipelines }, i) =>
          `${deltas[i]?.ids.length} ids: ${reads} read of ${readBytes} B, ${writeBytes} B written, ` +
          `${dispatches} dispatches, ${submissions} submissions, ${pipelines} pipelines`
        ).join("; "),
    );
    steps.forEach(({ reads, readBytes }, i) => {
      const revealed = deltas[i]?.ids.length ?? 0;
      expect(revealed).toBeGreaterThan(0);
      expect(reads).toBe(1);
      expect(readBytes).toBe(4 * Math.ceil(revealed / 2)); // two ids a word
      expect(readBytes).toBeLessThanOrEqual(MOST_BYTES);
    });
    expect(after.pipelines).toBe(0);
    // The engine refuses a graph with a node on the CPU that gives no reason; none of these gives one.
    const { loaded } = model("prefix");
    expect(loaded.map(({ graph, cpuNodes }) => [graph, cpuNodes])).toEqual(
      ["prompt", "draw_prefix", "vq_decode"].map((graph) => [graph, undefined]),
    );
    const settled = async () => void (await engine.gpu?.run({ dispatches: [] })); // releases wait for their turn
    await settled();
    expect(engine.gpu?.holdings.buffers).toBe(2); // its own two: every canvas is gone
    const again = watch.counts();
    for (let i = 0; i < 3; i++) await run(model("prefix"), input);
    await settled();
    expect(difference(again, watch.counts())).toMatchObject({ pipelines: 0, buffers: 0, bufferBytes: 0 });
  }, SLOW);

  test.each<[string, Partial<DrawInput>]>([
    ["stratified", {}],
    ["confidence", { order: "confidence", steps: 3 }],
    ["mask_git with noise, filtered", {
      order: "confidence",
      steps: 3,
      confidencePolicy: "mask_git",
      confidenceTemperature: 2,
      topK: 20,
      topP: 0.9,
    }],
    ["guided in part", { guidanceInterval: [0.4, 0.8], temperature: 0.5 }],
  ])("%s: draws what the CPU draws, and reads once a step", async (_, options) => {
    const request = { ...input, ...options };
    const here = await run(model("prefix"), request, watch);
    const there = await run(model("reference"), request);
    expect(here.deltas).toEqual(there.deltas);
    for (const { reads, readBytes } of here.steps) {
      expect(reads).toBe(1);
      expect(readBytes).toBeLessThanOrEqual(MOST_BYTES);
    }
  }, SLOW);

  test("goes on from any state, after a failed step too", async () => {
    const whole = await run(model("prefix"), input);
    const half = whole.deltas.slice(0, 3).reduce(
      (state, delta) => draw.fold(state, delta),
      draw.start(input, model("prefix")),
    );
    expect((await run(model("prefix"), input, undefined, half)).deltas).toEqual(whole.deltas.slice(3));
    let failures = 1;
    const { resident } = model("prefix");
    if (resident === undefined) throw new Error("the model is not resident");
    const failing: Model = new Proxy(model("prefix"), {
      get: (target, name): unknown => {
        if (name === "resident") {
          return {
            ...resident,
            gpu: {
              tensor: (...args: Parameters<typeof resident.gpu.tensor>) => resident.gpu.tensor(...args),
              run: async (...args: Parameters<typeof resident.gpu.run>) => {
                const words = await resident.gpu.run(...args);
                if (failures-- > 0) throw new Error("the read got lost");
                return words;
              },
            },
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const stepper = await draw.open(half, failing);
    await expect(stepper.step()).rejects.toThrow("got lost");
    expect(await stepper.step()).toEqual(whole.deltas[3]);
    stepper.close();
  }, SLOW);

  test("an edit's three rows, guided both ways, are the CPU's", async () => {
    const rows = draw.start(input, model("prefix"));
    const setup: DrawSetup = {
      rows: [0, 1, 2].map((k) =>
        Int32Array.from({ length: 9 }, (_, i) => 10 + 7 * i + k)
      ) as unknown as DrawSetup["rows"],
      suffix: new Int32Array(),
      edit: { mode: 0, imageGuidance: 1.4 },
    };
    const first = async (name: "prefix" | "reference") => {
      const stepper = new DrawStepper(rows, model(name), setup);
      const deltas = [await stepper.step(), await stepper.step()];
      stepper.close();
      return deltas;
    };
    expect(await first("prefix")).toEqual(await first("reference"));
  }, SLOW);

  test("a source picture and full attention: logits of every row are those of the copying call", async () => {
    models.full = await open(engine, "full");
    const { config, tokenizer, resident } = model("full");
    if (resident === undefined) throw new Error("the model is not resident");
    const token = tokenizer.id("<|reserved_token_6|>");
    const source = { ids: Uint16Array.from({ length: 64 }, (_, i) => i % config.vqCodes) };
    const shown = Int32Array.from({ length: 20 }, (_, i) => i < 16 ? token : 30 + i);
    const masked = new Int32Array(20).fill(config.maskTokenId);
    const cache = await model("full").prompt([shown, masked, shown], Int32Array.of(7, 8), { source });
    const ids = Uint16Array.from({ length: 64 }, (_, i) => i % 3 === 0 ? (5 * i) % config.vqCodes : config.vqMaskId);
    const positions = Uint32Array.of(63, 1, 18);
    const want = await model("full").draw(cache, ids, positions);
    const tensor = await resident.gpu.tensor({ dtype: "int32", dims: [64], data: Int32Array.from(ids) });
    const logits = await resident.draw(cache, tensor, positions);
    expect(logits.rows.length).toBe(3);
    for (const [index, { tensor, offset }] of logits.rows.entries()) {
      const all = (await tensor.read()).data as Float32Array;
      expect(all.subarray(offset, offset + 3 * config.vqCodes)).toEqual(want[index]);
    }
    logits.release();
    tensor.release();
    cache.release();
  }, SLOW);
});
