/**
 * Reflection on the GPU, with random weights: plans, drawings and verdicts of every round are the CPU's, so each round's
 * random numbers are its own there too; and what comes back is counted at the WebGPU API itself.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import { difference, type GpuCounts, type GpuWatch, watchGpu } from "../../../core/engine/gpu_watch.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Model } from "../../../core/model/types.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { createReflect } from "../../../core/tasks/reflect.ts";
import { type ReflectDelta, type ReflectState, startReflection } from "../../../core/tasks/reflect_state.ts";
import type { TextSettings } from "../../../core/tasks/text_stepper.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { randomWeights, smallConfig, smallTokenizer } from "../model/small_model.ts";

/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;

const task = createReflect(createDraw());

async function open(engine: Engine): Promise<Model> {
  const config = smallConfig({ max_sequence_length: 512, tokenizer_model_max_length: 512 });
  return await createModel({ config, weights: randomWeights(config), tokenizer: smallTokenizer(), engine });
}

/** Two rounds whose texts are short, and warm, so that their random numbers decide. */
function start(model: Model): ReflectState {
  const { settings, fresh } = task.start({ prompt: "a dog", seed: 3, steps: 2, guidance: 1.5, rounds: 2 }, model);
  const short = (text: TextSettings | null): TextSettings | null =>
    text === null ? null : { ...text, length: 8, block: 8, stepsPerBlock: 2, temperature: 1, ends: [] };
  return startReflection({ ...settings, plan: short(settings.plan), judge: short(settings.judge) }, fresh);
}

/** A step, the phase that it is of, and whether it is that phase's first. */
interface Taken {
  readonly phase: "plan" | "draw" | "judge" | undefined;
  readonly first: boolean;
  readonly delta: ReflectDelta;
  readonly counts: GpuCounts | undefined;
}

async function run(model: Model, watch?: GpuWatch) {
  let state = start(model);
  const taken: Taken[] = [];
  const stepper = await task.open(state, model);
  for (;;) {
    const before = watch?.counts();
    const delta = await stepper.step();
    if (delta === null) break;
    const counts = watch === undefined || before === undefined ? undefined : difference(before, watch.counts());
    taken.push({ phase: state.open?.phase, first: delta.step === 1, delta, counts });
    state = task.fold(state, delta);
  }
  stepper.close();
  return { taken, result: await task.result(state, model) };
}

describeWebGpu("reflection on the resident loop", () => {
  let watch: GpuWatch;
  const engines: Engine[] = [];
  const models: Model[] = [];
  let here: Awaited<ReturnType<typeof run>>;
  let there: Awaited<ReturnType<typeof run>>;
  beforeAll(async () => {
    watch = watchGpu();
    const gpu = await openEngine({ provider: "webgpu", allowSoftwareAdapter: true });
    const cpu = await openEngine({ provider: "cpu", threads: 1 });
    engines.push(gpu, cpu);
    const [model, reference] = [await open(gpu), await open(cpu)];
    models.push(model, reference);
    here = await run(model, watch);
    there = await run(reference);
  }, SLOW);
  afterAll(async () => {
    for (const model of models) await model.close();
    for (const engine of engines) await engine.close();
    watch?.stop();
  });

  test("every step of both rounds reveals what the CPU reveals, and the trace is the CPU's", () => {
    const phases = ["plan", "draw", "judge"].flatMap((phase) => [phase, phase]);
    expect(here.taken.map(({ phase }) => phase)).toEqual([...phases, ...phases]);
    expect(here.taken.map(({ delta }) => delta)).toEqual(there.taken.map(({ delta }) => delta));
    const told = ({ result }: typeof here) =>
      result.rounds.map(({ plan, ids, verdict, feedback, counters }) => ({ plan, ids, verdict, feedback, counters }));
    expect(told(here)).toEqual(told(there));
    expect(told(here).map(({ feedback }) => feedback)).toEqual([[], [1]]);
    // Not the same words and picture again: each round has random numbers of its own.
    const [one, two] = told(here);
    expect(one?.plan?.text).not.toBe(two?.plan?.text);
    expect(one?.ids).not.toEqual(two?.ids);
    expect(one?.verdict).not.toBe(two?.verdict);
  });

  test("a step reads its newly revealed ids alone, but where a picture is looked at", () => {
    const looks: string[] = [];
    here.taken.forEach(({ phase, first, delta, counts }, i) => {
      expect(delta.ids.length).toBeGreaterThan(0);
      // A verdict begins with its picture, and a drawing with those that were refused: pixels and features cross once.
      if (first && (phase === "judge" || (phase === "draw" && i > 6))) {
        looks.push(`${phase} ${counts !== undefined && counts.reads > 1}`);
        return;
      }
      // Of a drawing two ids a word, of words one.
      const { length } = delta.ids, words = phase === "draw" ? Math.ceil(length / 2) : length;
      expect(counts).toMatchObject({ reads: 1, readBytes: 4 * words });
    });
    expect(looks).toEqual(["judge true", "draw true", "judge true"]);
    // The engine refuses a graph with a node on the CPU that gives no reason; none of these gives one.
    expect(models[0]?.loaded.filter(({ cpuNodes }) => cpuNodes !== undefined)).toEqual([]);
  });
});
