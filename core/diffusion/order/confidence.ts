/**
 * Orders that depend on what was sampled: which of the masked positions a step keeps.
 *
 * Source: facts 6.1, `confidence_policy`.
 *
 * @module
 */
import { type Draws, gumbel, PHASE } from "../draws.ts";

/**
 * `mmada`: the largest log p + a T_s Gumbel. `mask_git`: positions drawn without replacement from softmax(p / (a T_s)).
 */
export const CONFIDENCE_POLICIES = ["mmada", "mask_git"] as const;
export type ConfidencePolicy = (typeof CONFIDENCE_POLICIES)[number];

/**
 * What a step ranks its masked positions by: log p + a T_s Gumbel (`mmada`), or a score whose order is that of drawing
 * without replacement (`mask_git`).
 *
 * @param positions [m], masked
 * @param logProbability [m], ln of the untempered probability of the id sampled at each
 * @param temperature a T_s; 0 is no noise
 * @returns [m], larger is surer; -Infinity for NaN
 */
export function confidenceScores(
  positions: Uint32Array,
  logProbability: Float64Array,
  policy: ConfidencePolicy,
  temperature: number,
  draws: Draws,
  step: number,
): Float64Array {
  const block = new Float64Array(4);
  const scores = new Float64Array(positions.length);
  for (let i = 0; i < positions.length; i++) {
    const logP = logProbability[i] as number;
    if (temperature === 0) {
      scores[i] = logP;
      continue;
    }
    draws.block(PHASE.confidence, step, positions[i] as number, 0, block);
    const noise = gumbel(block[0] as number);
    // The n largest of x + Gumbel are n draws without replacement from softmax(x).
    scores[i] = policy === "mmada" ? logP + temperature * noise : Math.exp(logP) / temperature + noise;
  }
  // Of logits with an infinity log p is NaN, which no order knows.
  for (let i = 0; i < scores.length; i++) if (Number.isNaN(scores[i])) scores[i] = -Infinity;
  return scores;
}

/**
 * Picks `count` of the masked positions, most confident first; equals go by position. Parameters are those of
 * {@link confidenceScores}.
 *
 * @returns [count] indices into `positions`
 */
export function mostConfident(
  positions: Uint32Array,
  logProbability: Float64Array,
  count: number,
  policy: ConfidencePolicy,
  temperature: number,
  draws: Draws,
  step: number,
): Uint32Array {
  const scores = confidenceScores(positions, logProbability, policy, temperature, draws, step);
  const score = (i: number) => scores[i] as number;
  const position = (i: number) => positions[i] as number;
  const ranked = Uint32Array.from(scores.keys());
  return ranked.sort((a, b) => score(b) - score(a) || position(a) - position(b)).slice(0, count);
}
