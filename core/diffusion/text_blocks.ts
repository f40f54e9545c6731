/**
 * Text in blocks, left to right: how many tokens each step of each block reveals, and which (facts 6.5). Blocks to the
 * right stay masked, yet they are in the sequence from the start.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { type Draws, PHASE } from "./draws.ts";
import { counts, type ScheduleName } from "./schedule.ts";
import { argmax, logProbability, sample } from "./sampling.ts";

/**
 * What ranks the candidates of a block: `probability` of the candidate, the `margin` between the two likeliest,
 * negative `entropy`, or a `random` number.
 */
export const TEXT_CONFIDENCES = ["probability", "margin", "entropy", "random"] as const;
export type TextConfidence = (typeof TEXT_CONFIDENCES)[number];

export interface TextPlan {
  /** Tokens of the answer. */
  readonly length: number;
  /** Tokens of a block; divides `length`. */
  readonly block: number;
  readonly stepsPerBlock: number;
  /** @default {"none"}, equal parts */
  readonly schedule?: ScheduleName;
  /** @default {3}; schedule `shift` only */
  readonly shift?: number;
}

/** One forward: the block that it works on, end excluded, and how many of its tokens it reveals. */
export interface TextStep {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** @throws {UnmaskError} `block_length_invalid`, `schedule_invalid` */
export function textSteps(plan: TextPlan): TextStep[] {
  const { length, block, stepsPerBlock } = plan;
  if (!(Number.isInteger(length) && Number.isInteger(block) && block > 0 && length > 0 && length % block === 0)) {
    throw new UnmaskError({
      code: "block_length_invalid",
      message: `an answer of ${length} tokens does not divide into blocks of ${block}`,
      fix: "use a length that is a multiple of the block",
      param: "block",
    });
  }
  const list = counts(block, stepsPerBlock, plan.schedule ?? "none", plan.shift ?? 3);
  return Array.from({ length: length / block }, (_, index) => index * block)
    .flatMap((from) => list.map((count) => ({ from, to: from + block, count })));
}

/** Everything that decides a step of an answer but its logits and random numbers. */
export interface TextPickPlan {
  /** From 1. */
  readonly step: number;
  /** Masked positions of the block, ascending; the logits have a row for each. */
  readonly positions: Uint32Array;
  /** Positions to reveal, at least 1. */
  readonly count: number;
  /** 0 takes the likeliest. */
  readonly temperature: number;
  readonly confidence: TextConfidence;
}

export interface Candidate {
  readonly id: number;
  /** Larger is surer. */
  readonly confidence: number;
}

/**
 * The id at one position and how sure it is: the argmax of l - T ln(-ln u), with the untempered softmax in float64.
 *
 * @param logits [vocabulary]
 * @param position in the answer
 * @param block [4], scratch
 */
export function candidate(
  logits: Float32Array,
  temperature: number,
  by: TextConfidence,
  draws: Draws,
  step: number,
  position: number,
  block: Float64Array,
): Candidate {
  const id = sample(logits, temperature, draws, step, position, block);
  switch (by) {
    case "probability":
      return { id, confidence: Math.exp(logProbability(logits, id)) };
    case "margin":
      return { id, confidence: margin(logits) };
    case "entropy":
      return { id, confidence: -entropy(logits) };
    case "random":
      draws.block(PHASE.confidence, step, position, 0, block);
      return { id, confidence: block[0] as number };
  }
}

/** The `count` surest, surest first, equals by position; indices into `candidates`. NaN is the least sure. */
export function surest(candidates: readonly Candidate[], count: number): number[] {
  const confidence = (i: number) => {
    const value = candidates[i]?.confidence ?? -Infinity;
    return Number.isNaN(value) ? -Infinity : value;
  };
  return [...candidates.keys()].sort((a, b) => confidence(b) - confidence(a) || a - b).slice(0, count);
}

/**
 * Where an answer ends for good: at its first end token that has no mask to its left, since everything left of it is
 * final then. Undefined while there is none.
 */
export function finishedAt(ids: ArrayLike<number>, maskId: number, ends: ReadonlySet<number>): number | undefined {
  for (let place = 0; place < ids.length; place++) {
    const id = ids[place] as number;
    if (id === maskId) return undefined;
    if (ends.has(id)) return place;
  }
  return undefined;
}

function margin(logits: Float32Array): number {
  const first = argmax(logits);
  let [second, highest] = [-1, -Infinity];
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] as number;
    if (i !== first && value > highest) [second, highest] = [i, value];
  }
  return Math.exp(logProbability(logits, first)) - (second < 0 ? 0 : Math.exp(logProbability(logits, second)));
}

function entropy(logits: Float32Array): number {
  const highest = logits[argmax(logits)] as number;
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < logits.length; i++) {
    const distance = (logits[i] as number) - highest;
    const share = Math.exp(distance);
    if (!(share > 0)) continue; // a NaN has none
    sum += share;
    weighted += share * distance;
  }
  return Math.log(sum) - weighted / sum;
}
