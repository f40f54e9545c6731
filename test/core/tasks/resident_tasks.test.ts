/**
 * Editing, answering and grounding on the GPU, with random weights: what the CPU does, logits staying there, and what comes back
 * counted at the WebGPU API itself.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import { difference, type GpuCounts, type GpuWatch, watchGpu } from "../../../core/engine/gpu_watch.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Model } from "../../../core/model/types.ts";
import { type AnswerInput, createAnswer } from "../../../core/tasks/answer.ts";
import { createEdit, type EditInput } from "../../../core/tasks/edit.ts";
import { createGround, type GroundInput } from "../../../core/tasks/ground.ts";
import type { Delta, Task } from "../../../core/tasks/task.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { randomWeights, smallConfig, smallTokenizer } from "../model/small_model.ts";
import { picture } from "./seeing_model.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;
/** Newly revealed ids and 64 bytes, whatever the step. */
const MOST_BYTES = 4096 + 64;

const edit = createEdit();
const answer = createAnswer();
const ground = createGround();
const change: EditInput = { instruction: "make it red", picture: picture(), seed: 3, steps: 3 };
const question: AnswerInput = { question: "what is it", picture: picture(), length: 8, block: 4 };
const where: GroundInput = { picture: picture(), expressions: ["a dog"] };

async function open(engine: Engine, attention: "prefix" | "full"): Promise<Model> {
  const config = smallConfig({
    prompt_attention: attention,
    max_sequence_length: 512,
    tokenizer_model_max_length: 512,
  });
  return await createModel({ config, weights: randomWeights(config), tokenizer: smallTokenizer(), engine });
}

/** A whole run, what WebGPU was asked for in each step, and the result. */
async function run<I, S, R, D extends Delta>(
  task: Task<I, S, R, Model, D>,
  model: Model,
  input: I,
  watch?: GpuWatch,
) {
  let state = task.start(input, model);
  const deltas: D[] = [];
  const steps: GpuCounts[] = [];
  const stepper = await task.open(state, model);
  for (;;) {
    const before = watch?.counts();
    const delta = await stepper.step();
    if (delta === null) break;
    if (watch !== undefined && before !== undefined) steps.push(difference(before, watch.counts()));
    state = task.fold(state, delta);
    deltas.push(delta);
  }
  stepper.close();
  return { deltas, steps, result: await task.result(state, model) };
}

describeWebGpu("the resident loop of the tasks that see", () => {
  let watch: GpuWatch;
  let engine: Engine;
  let cpu: Engine;
  const models: Model[] = [];
  const pair = async (attention: "prefix" | "full") => {
    const made = [await open(engine, attention), await open(cpu, attention)] as const;
    models.push(...made);
    return made;
  };
  beforeAll(async () => {
    watch = watchGpu();
    engine = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
    cpu = await openEngine({ provider: "cpu", threads: 1 });
  }, SLOW);
  afterAll(async () => {
    for (const model of models) await model.close();
    await engine?.close();
    await cpu?.close();
    watch?.stop();
  });

  test("edits are the CPU's; every step of the drawing reads its newly revealed ids alone", async () => {
    const [gpu, reference] = await pair("prefix");
    const here = await run(edit, gpu, change, watch);
    const there = await run(edit, reference, change);
    expect(here.deltas).toEqual(there.deltas);
    expect(here.result.ids).toEqual(there.result.ids);
    // Step 0 encodes the source, whose ids and features are the prompt's; it reveals nothing.
    const [encoding, ...drawing] = here.steps;
    expect(encoding?.reads).toBeGreaterThan(0);
    expect(drawing.length).toBe(3);
    drawing.forEach(({ reads, readBytes }, i) => {
      const revealed = here.deltas[i + 1]?.ids.length ?? 0;
      expect(revealed).toBeGreaterThan(0);
      expect({ reads, readBytes }).toEqual({ reads: 1, readBytes: 4 * Math.ceil(revealed / 2) }); // two ids a word
      expect(readBytes).toBeLessThanOrEqual(MOST_BYTES);
    });
  }, SLOW);

  test.each<[string, "prefix" | "full", Partial<AnswerInput>]>([
    ["the likeliest", "prefix", {}],
    ["warm, by margin, two tokens a step", "prefix", {
      temperature: 0.8,
      seed: 4,
      confidence: "margin",
      stepsPerBlock: 2,
    }],
    ["by entropy, the whole sequence in each step", "full", { confidence: "entropy", prefixCache: false, length: 4 }],
    ["at random, no picture", "full", { confidence: "random", seed: 9, length: 4 }],
  ])("answers are the CPU's and read the revealed tokens alone: %s", async (_, attention, options) => {
    const [gpu, reference] = await pair(attention);
    const { picture, ...blind } = { ...question, ...options };
    const input = options.confidence === "random" || picture === undefined ? blind : { ...blind, picture };
    const here = await run(answer, gpu, input, watch);
    const there = await run(answer, reference, input);
    expect(here.deltas).toEqual(there.deltas);
    expect(here.result).toEqual(there.result);
    here.steps.forEach(({ reads, readBytes }, i) => {
      const revealed = here.deltas[i]?.ids.length ?? 0;
      expect(revealed).toBeGreaterThan(0);
      expect({ reads, readBytes }).toEqual({ reads: 1, readBytes: 4 * revealed });
    });
  }, SLOW);

  test.each<[string, Partial<GroundInput>]>([
    ["one forward", {}],
    ["a list, coordinates fixed between forwards", { expressions: ["a dog", "a red cat"], steps: 3, perStep: 3 }],
  ])("boxes are the CPU's, and LOC logits stay: %s", async (_, options) => {
    const [gpu, reference] = await pair("prefix");
    const input = { ...where, ...options };
    const here = await run(ground, gpu, input, watch);
    const there = await run(ground, reference, input);
    expect(here.deltas).toEqual(there.deltas);
    expect(here.result).toEqual(there.result);
    expect(here.steps.length).toBe(input.steps ?? 1);
    for (const { reads, readBytes } of here.steps) {
      // Every forward says all coordinates anew.
      expect({ reads, readBytes }).toEqual({ reads: 1, readBytes: 4 * 4 * input.expressions.length });
    }
    // The engine refuses a graph with a node on the CPU that gives no reason; none of these gives one.
    expect(gpu.loaded.map(({ graph }) => graph)).toContain("text_head_rows");
    expect(gpu.loaded.filter(({ cpuNodes }) => cpuNodes !== undefined)).toEqual([]);
  }, SLOW);

  test("what steps held is given back", async () => {
    const settled = async () => void (await engine.gpu?.run({ dispatches: [] })); // releases wait for their turn
    const [gpu] = await pair("prefix");
    const round = async () => {
      await run(edit, gpu, change);
      await run(answer, gpu, question);
      await run(ground, gpu, where);
      await settled();
      return watch.counts();
    };
    // The runtime keeps a few small buffers of its own from the second round on.
    for (let i = 0; i < 2; i++) await round();
    const before = watch.counts();
    const after = await round();
    expect(difference(before, after)).toMatchObject({ pipelines: 0, buffers: 0, bufferBytes: 0 });
    expect(engine.gpu?.holdings.buffers).toBe(2); // its own two
  }, SLOW);
});
