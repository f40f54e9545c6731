/**
 * The providers against the CPU on the shipped model. Teacher-forced: 20 prompts are drawn on the CPU, then each other
 * provider takes every step from the CPU's state before it, through the stepper that a run takes: on webgpu the resident
 * loop. 2 or 8 steps, not the default's: all 256 positions of a picture are compared either way, since each is revealed
 * once, and a software adapter takes seconds of a core for a step.
 *
 * Free-running: two prompts of each kind are drawn by webgpu alone, and the judge compares the pictures with the CPU's.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pairedInterval } from "../../../bench/scenes/interval.ts";
import { createJudge } from "../../../bench/scenes/judge.ts";
import type { Metadata } from "../../../bench/scenes/prompt.ts";
import { choosePrompts } from "../../../bench/scenes/prompts.ts";
import { loadWorld, type World } from "../../../bench/scenes/world.ts";
import { findAdapter } from "../../../core/engine/adapter.ts";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, Provider } from "../../../core/engine/types.ts";
import { openModel } from "../../../core/model/open_model.ts";
import type { Model } from "../../../core/model/types.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { Agreement, drawn, force } from "./forced.ts";
import { SCENES } from "../model/scenes_fixture.ts";

const PROMPTS = 20;
/** Few for most, so that a software adapter is done in minutes; every fifth is drawn in more. */
const stepsOf = (prompt: number) => prompt % 5 === 0 ? 8 : 2;
const FREE_STEPS = 4;
const GUIDANCE = 1;
/** Largest error of a provider's logits, as a share of the CPU's largest logit. */
const TOLERANCE = 1e-4;
const MOST_UNDECIDED = 0.005;
/** Milliseconds, for a software adapter on a busy machine. */
const SLOW = 3_600_000;

const draw = createDraw();

interface Opened {
  readonly engine: Engine;
  readonly model: Model;
}

async function open(provider: Provider): Promise<Opened> {
  const engine = await openEngine({ provider, threads: 1, allowSoftwareAdapter: true });
  return { engine, model: await openModel({ folder: SCENES, engine }) };
}

async function close({ engine, model }: Opened): Promise<void> {
  await model.close();
  await engine.close();
}

const PROVIDERS: readonly Provider[] = ["cpu", "wasm", ...await findAdapter() === null ? [] : ["webgpu"] as const];
const agreements = new Map<Provider, Agreement>();
let pictures: Awaited<ReturnType<typeof freeRunning>> = [];
let reference: Opened;
let prompts: readonly Metadata[];

beforeAll(async () => {
  const world = await loadWorld();
  // Four of each kind but for those left out.
  prompts = (await choosePrompts(world, { seed: 1, n: 24, seen: false })).filter((_, i) => i % 6 !== 5);
  reference = await open("cpu");
  const others: Opened[] = [];
  for (const provider of PROVIDERS) others.push(await open(provider));
  for (const [seed, metadata] of prompts.entries()) {
    const steps = await drawn(reference.model, metadata.prompt, seed, stepsOf(seed));
    for (const [i, provider] of PROVIDERS.entries()) {
      const agreement = agreements.get(provider) ?? new Agreement();
      agreements.set(provider, agreement);
      await force((others[i] as Opened).model, steps, agreement);
    }
  }
  const gpu = others[PROVIDERS.indexOf("webgpu")];
  if (gpu !== undefined) pictures = await freeRunning(gpu, world);
  for (const opened of others) await close(opened);
}, SLOW);
afterAll(() => close(reference));

/** Two prompts of each kind, drawn by either alone. */
async function freeRunning(gpu: Opened, world: World) {
  const judge = createJudge(world);
  const pairs = [];
  for (const [prompt, metadata] of (await choosePrompts(world, { seed: 2, n: 12, seen: false })).entries()) {
    const input = { prompt: metadata.prompt, seed: 100 + prompt, steps: FREE_STEPS, guidance: GUIDANCE };
    const pictureOf = async ({ model }: Opened) => {
      let state = draw.start(input, model);
      const stepper = await draw.open(state, model);
      for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
        state = draw.fold(state, delta);
      }
      stepper.close();
      // One decoder for both: ids are what is compared.
      return { ids: state.sequence.ids, picture: await reference.model.decode(state.sequence.ids as Uint16Array) };
    };
    const [base, other] = [await pictureOf(reference), await pictureOf(gpu)];
    const verdicts = [judge.judge(base.picture, metadata), judge.judge(other.picture, metadata)] as const;
    const same = base.ids.filter((id, i) => id === other.ids[i]).length;
    pairs.push({ tag: metadata.tag, prompt, verdicts, same });
  }
  return pairs;
}

function agrees(provider: Provider): void {
  test("reveals what the CPU reveals, wherever its error cannot decide", () => {
    const sum = agreements.get(provider)?.sum();
    if (sum === undefined) throw new Error(`${provider} was not run`);
    console.log(
      `${provider}: ${sum.positions} positions of ${PROMPTS} prompts, 2 or 8 steps, guidance ${GUIDANCE}; logits ` +
        `within ${sum.error.toExponential(1)} of their range, scores within ${sum.guidedError.toExponential(1)}; ` +
        `${sum.undecided} undecided, ${sum.different} differ, ${sum.wrong} wrongly`,
    );
    expect(prompts.length).toBe(PROMPTS);
    expect(sum.positions).toBe(PROMPTS * 256);
    expect(sum.error).toBeLessThan(TOLERANCE);
    expect(sum.wrong).toBe(0);
    expect(sum.undecided / sum.positions).toBeLessThan(MOST_UNDECIDED);
  });
}

describe("cpu", () => agrees("cpu"));
describe("wasm", () => agrees("wasm"));
describeWebGpu("webgpu", () => {
  agrees("webgpu");

  test("drawing alone it scores what the CPU scores, within the paired interval", () => {
    expect(pictures.length).toBe(12);
    const right = (which: 0 | 1) => pictures.filter(({ verdicts }) => verdicts[which].correct).length;
    const [low, high] = pairedInterval(pictures, ({ correct }) => correct);
    const same = pictures.reduce((sum, { same }) => sum + same, 0);
    console.log(
      `free-running, ${FREE_STEPS} steps: cpu ${right(0)} of 12 right, webgpu ${right(1)}, difference within ` +
        `[${low.toFixed(3)}, ${high.toFixed(3)}]; ${same} of ${12 * 256} ids are the same`,
    );
    expect(low).toBeLessThanOrEqual(0);
    expect(high).toBeGreaterThanOrEqual(0);
  });
});
