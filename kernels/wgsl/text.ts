/**
 * From the LM head's logits to a token at each masked place of an answer and how sure it is, as
 * core/diffusion/text_blocks.ts `candidate` has it.
 *
 * @module
 */
import { CHOICE, CHOICE_PARAMS, choiceBindings } from "./choice.ts";
import { kernel, THREADS } from "./kernel.ts";

/** Values of the parameter `confidence`; `logit` is the token's own, as it stands. */
export const CONFIDENCE = { probability: 0, margin: 1, entropy: 2, random: 3, logit: 4 } as const;

/** Bits of an id in a word, below those of the place among the places that are picked. */
export const ID_BITS = 20;

/**
 * One workgroup a place. A word is place << 20 | id, the place among the picked ones; a score sorts as the confidence
 * does, and is taken from the side where fp32 is fine: what is missing to certainty.
 *
 * Storage: logits f32 [picks, vocabulary], read, `vocabulary` at most 2^20; those of {@link choiceBindings}.
 */
export const TEXT_CANDIDATES = kernel(
  "text_candidates",
  [...CHOICE_PARAMS, ["confidence", "u32"]],
  `
@group(0) @binding(1) var<storage, read> logits: array<f32>;
${choiceBindings(1)}${CHOICE}
fn key_of(pick: u32, id: u32) -> u32 {
  return sortable(logits[pick * params.vocabulary + id]);
}

// The largest key but that of \`first\`.
fn second_of(thread: u32, pick: u32, first: vec2<u32>) -> u32 {
  var own = 0u;
  for (var id = thread; id < params.vocabulary; id += THREADS) {
    if (id != first.y) { own = max(own, key_of(pick, id)); }
  }
  return best_of_all(thread, own, thread).x;
}

// Sum of share times distance to the largest logit, shares as those of mass_beside.
fn moment_of(thread: u32, pick: u32, highest: f32) -> f32 {
  var own = 0.0;
  for (var id = thread; id < params.vocabulary; id += THREADS) {
    let key = key_of(pick, id);
    let share = weight(key, highest, true);
    if (share > 0.0) { own += share * (unsorted(key) - highest); }
  }
  return sum_of_all(thread, vec3<f32>(own, 0.0, 0.0)).x;
}

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let pick = workgroup.x;
  let thread = local.x;
  let position = positions[pick];
  let first = likeliest_of(thread, pick);
  let highest = unsorted(first.x);
  let id = drawn(thread, pick, position, first, 0u);
  let beside = mass_beside(thread, pick, first, 0u);
  var score = 0.0;
  if (params.confidence == ${CONFIDENCE.margin}u) {
    let second = weight(second_of(thread, pick, first), highest, true);
    score = -(second + beside) / (1.0 + beside); // p1 - p2 - 1
  } else if (params.confidence == ${CONFIDENCE.entropy}u) {
    score = moment_of(thread, pick, highest) / (1.0 + beside) - ln_1p(beside);
  } else if (params.confidence == ${CONFIDENCE.probability}u) {
    score = unsorted(key_of(pick, id)) - highest - ln_1p(beside); // ln p
  }
  if (thread > 0u) { return; }
  words[pick] = (pick << ${ID_BITS}u) | id;
  if (params.confidence == ${CONFIDENCE.random}u) {
    scores[pick] = sortable(uniform_of(confidence_word(position)));
    return;
  }
  if (params.confidence == ${CONFIDENCE.logit}u) {
    scores[pick] = key_of(pick, id);
    return;
  }
  let finite = first.x > LOWEST && first.x < HIGHEST;
  scores[pick] = select(LOWEST, sortable(score), finite);
}
`,
);
