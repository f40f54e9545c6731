/**
 * The providers against the CPU, teacher-forced: five prompts of the shipped model are drawn on the CPU, then each other
 * provider is fed the CPU's ids at every step, and what it would have revealed is compared. 8 steps, not the default's
 * 32: all 256 positions of a picture are compared either way, since each is revealed once, and a software adapter takes
 * two seconds of a core for a step.
 *
 * What decides a position is guided logit / temperature + Gumbel noise. Where the two best candidates are further apart
 * than 4 times the provider's measured error, they must agree; the rest are counted.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gumbel, PHASE, philoxDraws } from "../../../core/diffusion/draws.ts";
import { guide } from "../../../core/diffusion/guidance.ts";
import { drawBlock, sample } from "../../../core/diffusion/sampling.ts";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, Provider } from "../../../core/engine/types.ts";
import { openModel } from "../../../core/model/model.ts";
import type { Model } from "../../../core/model/types.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { DRAW_DEFAULTS } from "../../../core/tasks/draw_defaults.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { SCENES } from "../model/scenes_fixture.ts";

const PROMPTS = [
  "a photo of a dog",
  "a photo of three apples",
  "a photo of a red car",
  "a photo of a dog right of a chair",
  "a photo of a green cup and a yellow banana",
];
const STEPS = 8;
const GUIDANCE = 1;
/** Largest error of a provider's logits, as a share of the CPU's largest logit. */
const TOLERANCE = 1e-4;
const MOST_UNDECIDED = 0.005;
/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 400_000;

/** One call of the network in a CPU run, and what the sampler made of its logits. */
interface Call {
  readonly seed: number;
  readonly step: number;
  readonly rows: readonly Int32Array[];
  readonly ids: Uint16Array;
  readonly positions: Uint32Array;
  readonly logits: readonly Float32Array[];
  readonly chosen: Uint32Array;
}

async function open(provider: Provider): Promise<{ readonly engine: Engine; readonly model: Model }> {
  const engine = await openEngine({ provider, threads: 1, allowSoftwareAdapter: true });
  return { engine, model: await openModel({ folder: SCENES, engine }) };
}

/** The guided logits of the i-th position. */
function guided(rows: readonly Float32Array[], i: number, size: number): Float32Array {
  const [conditional, unconditional] = rows;
  if (conditional === undefined || unconditional === undefined) throw new Error("expected two rows");
  const out = new Float32Array(size);
  guide(conditional, unconditional, i * size, size, GUIDANCE, out);
  return out;
}

/** The best candidate by plain arithmetic, and how far the next one is behind. */
function best(logits: Float32Array, noise: Float64Array): { readonly id: number; readonly gap: number } {
  let [id, first, second] = [-1, -Infinity, -Infinity];
  for (let i = 0; i < logits.length; i++) {
    const score = (logits[i] ?? NaN) / DRAW_DEFAULTS.temperature + (noise[i] ?? NaN);
    if (score > first) [id, second, first] = [i, first, score];
    else if (score > second) second = score;
  }
  return { id, gap: first - second };
}

/** Gumbel noise of every candidate at one position. */
function noiseAt({ seed, step }: Call, position: number, size: number): Float64Array {
  const [draws, block, noise] = [philoxDraws(seed), drawBlock(), new Float64Array(size)];
  for (let group = 0; 4 * group < size; group++) {
    draws.block(PHASE.candidate, step, position, group, block);
    for (let id = 4 * group; id < Math.min(4 * group + 4, size); id++) noise[id] = gumbel(block[id & 3] ?? NaN);
  }
  return noise;
}

/** What the CPU drew; `best` of each revealed position in the order of the calls. */
const calls: Call[] = [];
const bests: { readonly id: number; readonly gap: number }[] = [];

beforeAll(async () => {
  const { engine, model } = await open("cpu");
  for (const [seed, prompt] of PROMPTS.entries()) {
    const open: Omit<Call, "chosen">[] = [];
    let rows: readonly Int32Array[] = [];
    const recording: Model = {
      config: model.config,
      info: model.info,
      tokenizer: model.tokenizer,
      understanding: model.understanding,
      loaded: model.loaded,
      prompt: (given, ...rest) => model.prompt(rows = given, ...rest),
      draw: async (cache, ids, positions, width) => {
        const logits = await model.draw(cache, ids, positions, width);
        const copies = logits.map((row) => row.slice());
        open.push({ seed, step: 0, rows, ids: ids.slice(), positions: positions.slice(), logits: copies });
        return logits;
      },
      decode: (ids, width) => model.decode(ids, width),
      encode: (picture) => model.encode(picture),
      close: () => Promise.resolve(),
    };
    await runHere(createDraw(), { prompt, seed, steps: STEPS, guidance: GUIDANCE }, recording, {
      onStep: (_, { step, ids }) => {
        const call = open.pop();
        if (call !== undefined) calls.push({ ...call, step, chosen: ids.slice() });
      },
    });
  }
  const { vqCodes } = model.config;
  for (const call of calls) {
    call.positions.forEach((position, i) => {
      bests.push(best(guided(call.logits, i, vqCodes), noiseAt(call, position, vqCodes)));
    });
  }
  await model.close();
  await engine.close();
});

/** A provider's own choices for the CPU's states. */
function agreement(provider: Provider): void {
  let opened: Awaited<ReturnType<typeof open>>;
  beforeAll(async () => void (opened = await open(provider)));
  afterAll(async () => {
    await opened?.model.close();
    await opened?.engine.close();
  });

  test("reveals what the CPU reveals, wherever its error cannot decide", async () => {
    const { model } = opened;
    const { vqCodes } = model.config;
    const same: boolean[] = [];
    let [error, guidedError, range] = [0, 0, 0];
    let cache: Awaited<ReturnType<Model["prompt"]>> | undefined;
    let seed = -1;
    for (const call of calls) {
      if (call.seed !== seed) {
        cache?.release();
        cache = await model.prompt(call.rows);
        seed = call.seed;
      }
      if (cache === undefined) throw new Error("no prompt");
      const logits = await model.draw(cache, call.ids, call.positions);
      for (const [row, values] of logits.entries()) {
        const cpu = call.logits[row] ?? new Float32Array();
        expect(values.length).toBe(cpu.length);
        for (let i = 0; i < cpu.length; i++) {
          const difference = Math.abs((values[i] ?? NaN) - (cpu[i] ?? NaN));
          if (!(difference <= error)) error = difference; // NaN sticks
          range = Math.max(range, Math.abs(cpu[i] ?? NaN));
        }
      }
      call.positions.forEach((position, i) => {
        const [own, cpu] = [guided(logits, i, vqCodes), guided(call.logits, i, vqCodes)];
        for (let id = 0; id < vqCodes; id++) {
          const difference = Math.abs((own[id] ?? NaN) - (cpu[id] ?? NaN)) / DRAW_DEFAULTS.temperature;
          if (!(difference <= guidedError)) guidedError = difference;
        }
        const draws = philoxDraws(call.seed);
        const id = sample(own, DRAW_DEFAULTS.temperature, draws, call.step, position, drawBlock());
        same.push(id === call.chosen[i]);
      });
    }
    cache?.release();
    const undecided = bests.filter(({ gap }) => gap <= 4 * guidedError).length;
    const different = same.filter((each) => !each).length;
    const wrong = same.filter((each, i) => !each && (bests[i]?.gap ?? Infinity) > 4 * guidedError).length;
    console.log(
      `${provider} (${model.info.device}): ${same.length} positions of ${PROMPTS.length} prompts, ${STEPS} steps, ` +
        `guidance ${GUIDANCE}; logits within ${(error / range).toExponential(1)} of their range, ` +
        `scores within ${guidedError.toExponential(1)}; ${undecided} undecided, ${different} differ, ${wrong} wrongly`,
    );
    expect(error / range).toBeLessThan(TOLERANCE);
    expect(wrong).toBe(0);
    expect(undecided / same.length).toBeLessThan(MOST_UNDECIDED);
  }, SLOW);
}

describe("cpu", () => {
  test("every position of every picture was revealed by the largest score", () => {
    expect(calls.length).toBe(PROMPTS.length * STEPS);
    const chosen = calls.flatMap((call) => [...call.chosen]);
    expect(chosen.length).toBe(PROMPTS.length * 256);
    expect(bests.map(({ id }) => id)).toEqual(chosen);
  });
  agreement("cpu");
});
describe("wasm", () => agreement("wasm"));
describeWebGpu("webgpu", () => agreement("webgpu"));
