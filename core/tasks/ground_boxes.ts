/**
 * Boxes out of masked forwards (facts 6.6): every four masks of the sequence are one box, all of one forward. Only the
 * LOC rows of the LM head are looked at.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { LocBox } from "../model/boxes.ts";
import type { GroundPrompt } from "../model/prompts.ts";
import type { Tokenizer, Understanding } from "../model/types.ts";
import { groundReaderFor } from "./ground_reader.ts";

/** The published code fixes two coordinates a step, whatever the number of steps. */
export const PUBLISHED_PER_STEP = 2;

export interface GroundOptions {
  /** Forwards. Between them coordinates are fixed as context; the answer is the last forward's. @default {1} */
  readonly steps?: number;
  /** Coordinates that are fixed after each forward but the last, highest logit first. @default {2} */
  readonly perStep?: number;
  /** Sees every forward's LOC logits fp32 [masks, locTokens], which then come to the host. */
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
  const { onForward } = options;
  const fixed = new Map<number, number>();
  const reader = groundReaderFor(model, prompt.maskPositions, onForward);
  try {
    let best = new Uint32Array();
    for (let forward = 0; forward < steps; forward++) {
      const found = await reader.read({ ids: fixedIds(prompt, tokenizer, fixed), features }, forward);
      best = found.best;
      const open = found.surest.filter((index) => !fixed.has(index));
      for (const index of open.slice(0, perStep)) fixed.set(index, best[index] ?? 0);
    }
    return locBoxes(best);
  } finally {
    reader.close();
  }
}

/** The prompt with the LOC tokens of what is fixed in place of its masks. @param fixed LOC number by coordinate */
export function fixedIds(
  { ids, maskPositions }: GroundPrompt,
  tokenizer: Tokenizer,
  fixed: ReadonlyMap<number, number>,
): Int32Array {
  const first = tokenizer.id("<LOC_0>");
  const result = ids.slice();
  for (const [index, value] of fixed) result[maskPositions[index] ?? 0] = first + value;
  return result;
}

/** Every four LOC numbers are a box. */
export function locBoxes(best: ArrayLike<number>): LocBox[] {
  const at = (index: number) => best[index] ?? 0;
  return Array.from(
    { length: best.length / 4 },
    (_, box) => [at(4 * box), at(4 * box + 1), at(4 * box + 2), at(4 * box + 3)] as const,
  );
}
