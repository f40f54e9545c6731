/**
 * What a GPU does for the first time costs seconds: each operator's pipelines are compiled when they are first run. A
 * server lets that happen before it says that it is ready.
 *
 * The runtime's kernels take the sizes of their tensors as parameters, so that one pipeline serves every prompt; a few
 * products of few rows have kernels of their own. The warm-up therefore reveals from one position to all of them, in
 * steps of powers of four, guided and not, and by confidence: what comes later compiles nothing (test/core/tasks/resident.test.ts).
 *
 * @module
 */
import type { Model } from "../model/types.ts";
import { createDraw } from "./draw.ts";
import type { DrawInput } from "./draw_input.ts";
import type { DrawState } from "./draw_state.ts";

const INPUT: DrawInput = { prompt: "a photo of a dog", seed: 0, steps: 2, guidance: 1 };

/** Runs single steps of draws, and decodes a picture; nothing of it is kept. */
export async function warmUp(model: Model): Promise<void> {
  const positions = model.config.grid ** 2;
  for (const [count, options] of warmUpSteps(positions)) await oneStep(model, options, count);
  await model.decode(new Uint16Array(positions));
}

/** Positions that a step reveals, and what is not as in a guided draw. */
function warmUpSteps(positions: number): (readonly [count: number, options: Partial<DrawInput>])[] {
  const counts = [1, 2];
  for (let count = 4; count < positions; count *= 4) counts.push(count);
  return [
    ...[...counts, positions].map((count) => [count, {}] as const),
    [1, { guidance: 0 }],
    [positions, { guidance: 0 }],
    [1, { order: "confidence" }],
  ];
}

async function oneStep(model: Model, options: Partial<DrawInput>, count: number): Promise<void> {
  const task = createDraw();
  const fresh = task.start({ ...INPUT, ...options }, model);
  const positions = fresh.sequence.ids.length;
  const state: DrawState = { ...fresh, counts: count === positions ? [positions] : [count, positions - count] };
  const stepper = await task.open(state, model);
  try {
    await stepper.step();
  } finally {
    stepper.close();
  }
}
