/**
 * Boxes out of masked forwards (facts 6.6): every four masks of the sequence are one box, all of one forward. Only the
 * LOC rows of the LM head are looked at.
 *
 * @module
 */
import { argmax } from "../diffusion/sampling.ts";
import { UnmaskError } from "../errors.ts";
import type { LocBox } from "../model/boxes.ts";
import type { GroundPrompt } from "../model/prompts.ts";
import type { Tokenizer, Understanding } from "../model/types.ts";

/** The published code fixes two coordinates a step, whatever the number of steps. */
const PUBLISHED_PER_STEP = 2;

export interface GroundOptions {
  /** Forwards. Between them coordinates are fixed as context; the answer is the last forward's. @default {1} */
  readonly steps?: number;
  /** Coordinates that are fixed after each forward but the last, highest logit first. @default {2} */
  readonly perStep?: number;
  /** Sees every forward's LOC logits fp32 [masks, locTokens]. */
  readonly onForward?: (forward: number, logits: Float32Array) => void;
}

/**
 * @param features fp32 [picture tokens, dModel]
 * @returns a box for each expression, x1 y1 x2 y2; what the model says, corners in any order
 * @throws {UnmaskError} `steps_out_of_range`
 */
export async function groundBoxes(
  model: Understanding,
  tokenizer: Tokenizer,
  prompt: GroundPrompt,
  features: Float32Array,
  options: GroundOptions = {},
): Promise<LocBox[]> {
  const { steps = 1, perStep = PUBLISHED_PER_STEP } = options;
  if (!(Number.isInteger(steps) && steps >= 1 && steps <= 16)) {
    throw new UnmaskError({
      code: "steps_out_of_range",
      message: "grounding takes 1 to 16 steps",
      fix: "use 1 to 4",
      param: "steps",
    });
  }
  const { maskPositions } = prompt;
  const firstLocation = tokenizer.id("<LOC_0>");
  const ids = prompt.ids.slice();
  const open = new Set(maskPositions.keys());
  let best = new Uint32Array();
  for (let forward = 0; forward < steps; forward++) {
    const logits = await model.locations(undefined, { ids, features }, maskPositions);
    options.onForward?.(forward, logits);
    const size = logits.length / maskPositions.length;
    const row = (index: number) => logits.subarray(index * size, (index + 1) * size);
    best = Uint32Array.from(maskPositions, (_, index) => argmax(row(index)));
    const score = (index: number) => row(index)[best[index] ?? 0] ?? -Infinity;
    const chosen = [...open].sort((a, b) => score(b) - score(a) || a - b).slice(0, perStep);
    for (const index of chosen) {
      ids[maskPositions[index] ?? 0] = firstLocation + (best[index] ?? 0);
      open.delete(index);
    }
  }
  return Array.from({ length: best.length / 4 }, (_, box) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = best.subarray(4 * box, 4 * box + 4);
    return [x1, y1, x2, y2] as const;
  });
}
