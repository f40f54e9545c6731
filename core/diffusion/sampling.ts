/**
 * From the logits of one position to an id: multinomial by the Gumbel argmax, argmax at temperature 0. The CPU form is
 * the reference of the WGSL one.
 *
 * Source: facts 6.1. Gumbel-max: Maddison, Tarlow, Minka, "A* sampling" (2014).
 *
 * @module
 */
import { type Draws, gumbel, PHASE } from "./draws.ts";

/** More than the rounding of one score. */
const SLACK = 1e-6;

/** Ids of four neighbouring candidates' random numbers; one for a stepper. */
export function drawBlock(): Float64Array {
  return new Float64Array(4);
}

/** The first largest of `logits`. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let highest = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] as number;
    if (value > highest) {
      highest = value;
      best = i;
    }
  }
  return best;
}

/**
 * Draws from softmax(logits / temperature): the argmax of l / temperature - ln(-ln u), equals by lower id. A block of
 * four candidates that could not win with the largest u there is costs no random number, and a u that could not win with
 * the largest logit costs no logarithm: the result is the same.
 *
 * @param logits [vocabulary]; -Infinity never wins
 * @param temperature at least 0; 0 is argmax
 * @param step from 1
 * @param position row-major index in the grid
 * @param block [4], scratch
 * @returns an id
 */
export function sample(
  logits: Float32Array,
  temperature: number,
  draws: Draws,
  step: number,
  position: number,
  block: Float64Array,
): number {
  const first = argmax(logits);
  if (temperature === 0) return first;
  const size = logits.length;
  const most = gumbel(draws.maximum) + SLACK;
  let best = -Infinity;
  let bestId = first;
  let hopeless = -Infinity;
  let hopelessDraw = 0;
  const highest = (logits[first] as number) / temperature;
  const tryGroup = (group: number) => {
    draws.block(PHASE.candidate, step, position, group, block);
    const end = Math.min(4 * group + 4, size);
    for (let id = 4 * group; id < end; id++) {
      const u = block[id & 3] as number;
      if (u < hopelessDraw) continue;
      const score = (logits[id] as number) / temperature + gumbel(u);
      if (score > best || (score === best && id < bestId)) {
        best = score;
        bestId = id;
        hopeless = (best - most) * temperature;
        hopelessDraw = Math.exp(-Math.exp(highest - best + SLACK));
      }
    }
  };
  // The likeliest group first: its score is the bar that rules most others out.
  tryGroup(first >> 2);
  const whole = size & ~3;
  for (let id = 0; id < whole; id += 4) {
    if (
      ((logits[id] as number) >= hopeless || (logits[id + 1] as number) >= hopeless ||
        (logits[id + 2] as number) >= hopeless || (logits[id + 3] as number) >= hopeless) && id >> 2 !== first >> 2
    ) tryGroup(id >> 2);
  }
  if (whole < size && whole >> 2 !== first >> 2) tryGroup(whole >> 2);
  return bestId;
}

/**
 * ln of the untempered softmax probability of one id.
 *
 * @param logits [vocabulary]
 */
export function logProbability(logits: Float32Array, id: number): number {
  let highest = -Infinity;
  for (let i = 0; i < logits.length; i++) if ((logits[i] as number) > highest) highest = logits[i] as number;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const share = Math.exp((logits[i] as number) - highest);
    if (share > 0) sum += share; // a NaN has none
  }
  return (logits[id] as number) - highest - Math.log(sum);
}
