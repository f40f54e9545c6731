/** The draw task as it ships, on the published implementation's whole loops: ids after every step, exactly. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Draws, PHASE, philoxDraws } from "../../../core/diffusion/draws.ts";
import { createModel } from "../../../core/model/model.ts";
import { drawPrompt } from "../../../core/model/prompts.ts";
import type { Model } from "../../../core/model/types.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import type { DrawInput } from "../../../core/tasks/draw_input.ts";
import { runHere } from "../../../core/tasks/run_here.ts";
import { standInTokenizer } from "../../../commands/parity/stand_in_tokenizer.ts";
import { nodeEngine } from "../model/node_engine.ts";
import { parityConfig, parityWeights } from "../model/parity.ts";

interface Loop {
  readonly text: string;
  readonly settings: {
    readonly prompt: string;
    readonly guidance_scale: number;
    readonly n_steps: number;
    readonly shift: number;
    readonly confidence_policy: "stratified" | "mmada";
    readonly sample_policy: "argmax" | "multinomial";
    readonly temperature?: number;
    readonly alg_temp?: number;
    readonly min_temperature?: number;
    readonly schedule_temp?: "cosine2";
  };
  readonly sequence_ids: number[];
  readonly ids_after_step: number[][];
}

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${name}.json`, import.meta.url), "utf8"));
const loops: Record<string, Loop> = fixture("draw_loops").cases;
const noise: number[][] = fixture("confidence_order").cases.confidence_noise.uniform_draws;

const config = parityConfig({ native_resolution: 256 });
let model: Model;

beforeAll(async () => {
  model = await createModel({
    config,
    weights: await parityWeights(),
    tokenizer: standInTokenizer(),
    engine: nodeEngine(),
  });
});

afterAll(async () => await model.close());

/** The reference's own draws: a hash of place and call for candidates, stored numbers for confidence. */
function referenceDraws(): Draws {
  return {
    maximum: 1 - 2 ** -33,
    block(phase, step, position, group, out) {
      if (phase === PHASE.confidence) {
        out[0] = noise[step - 1]?.[position] ?? NaN;
        return;
      }
      for (let lane = 0; lane < 4; lane++) {
        const n = position * config.vqCodes + 4 * group + lane;
        let h = Math.imul(n, 0x9E3779B1) ^ Math.imul(step, 0x85EBCA77);
        h = Math.imul(h ^ (h >>> 15), 0x2C1B3C6D);
        h = Math.imul(h ^ (h >>> 12), 0x297A2D39);
        out[lane] = (((h ^ (h >>> 15)) >>> 0) + 0.5) / 2 ** 32;
      }
    },
  };
}

function inputOf({ text, settings }: Loop): DrawInput {
  const request = /caption:\n ([^]*?)<\|eot_id\|>/.exec(text)?.[1] ?? "";
  const noisy = settings.schedule_temp !== undefined;
  return {
    prompt: settings.prompt,
    micro: request.slice(settings.prompt.length + 1),
    seed: 0,
    steps: settings.n_steps,
    guidance: settings.guidance_scale,
    shift: settings.shift,
    temperature: settings.sample_policy === "argmax" ? 0 : settings.temperature ?? 1,
    ...(settings.confidence_policy === "stratified"
      ? { order: "stratified" }
      : { order: "confidence", confidencePolicy: "mmada", confidenceTemperature: settings.alg_temp ?? 1 }),
    ...(noisy ? { confidenceDecay: "cosine2", confidenceMinimum: settings.min_temperature ?? 1 } : {}),
  };
}

test.each(Object.keys(loops))("loop %s", async (name) => {
  const loop = loops[name];
  if (loop === undefined) throw new Error(`no case ${name}`);
  const input = inputOf(loop);
  const { rows } = drawPrompt({ prompt: input.prompt, micro: input.micro ?? "" }, model.tokenizer);
  expect([...rows[0]]).toEqual(loop.sequence_ids);
  const afterSteps: number[][] = [];
  const draw = createDraw({ draws: referenceDraws });
  await runHere(draw, input, model, { onStep: ({ sequence }) => afterSteps.push([...sequence.ids]) });
  expect(afterSteps).toEqual(loop.ids_after_step);
});

test("the loops depend on the draws: with Philox the drawn one differs", async () => {
  const loop = loops["multinomial"];
  if (loop === undefined) throw new Error("no case multinomial");
  let last: number[] = [];
  await runHere(createDraw({ draws: () => philoxDraws(1) }), inputOf(loop), model, {
    onStep: ({ sequence }) => last = [...sequence.ids],
  });
  expect(last).not.toEqual(loop.ids_after_step.at(-1));
});
