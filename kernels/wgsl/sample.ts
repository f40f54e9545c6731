/**
 * From logits to an id at each position, as core/diffusion/pick.ts has it: guidance, filter, Gumbel argmax, and the
 * score of a confidence order.
 *
 * @module
 */
import { CHOICE, CHOICE_PARAMS, choiceBindings } from "./choice.ts";
import { kernel, THREADS } from "./kernel.ts";

/** Values of the parameter `order`. */
export const ORDER = { fixed: 0, mmada: 1, mask_git: 2 } as const;

const PARAMS = [
  ...CHOICE_PARAMS,
  /** Rows of logits: 1 (not guided), 2 (conditional, unconditional) or 3 (full, enc, un). */
  ["rows", "u32"],
  /** Where each row begins in its buffer, in elements. */
  ["offset0", "u32"],
  ["offset1", "u32"],
  ["offset2", "u32"],
  /** (1 + w) and w; of three rows the weights of full and enc. */
  ["plus", "f32"],
  ["minus", "f32"],
  ["on_full", "f32"],
  ["on_enc", "f32"],
  /** 0 keeps all. */
  ["top_k", "u32"],
  /** 1 keeps all. */
  ["top_p", "f32"],
  ["order", "u32"],
  /** Of the noise on confidence; 0 is none. */
  ["confidence_temperature", "f32"],
] as const;

/**
 * One workgroup a position. Its threads go over the vocabulary several times, by groups of four candidates that share a
 * block of random numbers; what is kept by the filter is found by searching its lowest logit two bits at a time, which
 * needs no sorting and no scratch memory. Comparisons are of sortable words; equals go by lower id.
 *
 * Storage: logits0, logits1, logits2 f32, read (the same buffer where there are fewer rows); those of
 * {@link choiceBindings}, scores under a confidence order alone.
 */
export const SAMPLE = kernel(
  "sample",
  PARAMS,
  `
@group(0) @binding(1) var<storage, read> logits0: array<f32>;
@group(0) @binding(2) var<storage, read> logits1: array<f32>;
@group(0) @binding(3) var<storage, read> logits2: array<f32>;
${choiceBindings(3)}${CHOICE}
fn is_nan(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
}

// The guided logit of one id, sortable.
fn key_of(pick: u32, id: u32) -> u32 {
  let place = pick * params.vocabulary + id;
  let first = logits0[params.offset0 + place];
  if (params.rows == 1u) { return sortable(first); }
  let second = logits1[params.offset1 + place];
  if (is_nan(first) || is_nan(second)) { return LOWEST; }
  if (params.rows == 2u) { return sortable(params.plus * first - params.minus * second); }
  let third = logits2[params.offset2 + place];
  if (is_nan(third)) { return LOWEST; }
  return sortable(params.plus * (params.on_full * first + params.on_enc * second) - params.minus * third);
}

// The largest key such that the keys from it on weigh more than \`goal\`; those below \`lowest\` weigh nothing.
fn lowest_kept(thread: u32, pick: u32, highest: f32, lowest: u32, goal: f32, by_mass: bool) -> u32 {
  var found = 0u;
  for (var digit = 0u; digit < 16u; digit++) {
    let unit = 1u << (30u - 2u * digit);
    var own = vec3<f32>(0.0);
    for (var id = thread; id < params.vocabulary; id += THREADS) {
      let key = key_of(pick, id);
      if (key < lowest || key < found + unit) { continue; }
      let part = weight(key, highest, by_mass);
      own += vec3<f32>(part, select(0.0, part, key >= found + 2u * unit), select(0.0, part, key >= found + 3u * unit));
    }
    let all = sum_of_all(thread, own);
    found += unit * (select(0u, 1u, all.x > goal) + select(0u, 1u, all.y > goal) + select(0u, 1u, all.z > goal));
  }
  return max(found, lowest);
}

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let pick = workgroup.x;
  let thread = local.x;
  let position = positions[pick];

  let first = likeliest_of(thread, pick);
  let highest = unsorted(first.x);
  let finite = first.x > LOWEST && first.x < HIGHEST;

  var lowest = 0u;
  if (params.top_k > 0u) { lowest = lowest_kept(thread, pick, 0.0, 0u, f32(params.top_k) - 0.5, false); }
  if (params.top_p < 1.0) {
    let goal = params.top_p * (1.0 + mass_beside(thread, pick, first, lowest));
    let nucleus = lowest_kept(thread, pick, highest, lowest, goal, true);
    lowest = select(lowest, nucleus, finite);
  }

  let id = drawn(thread, pick, position, first, lowest);

  if (params.order == ${ORDER.fixed}u) {
    if (thread == 0u) { words[pick] = (position << 16u) | id; }
    return;
  }
  let beside = mass_beside(thread, pick, first, lowest);
  if (thread > 0u) { return; }
  words[pick] = (position << 16u) | id;
  let key = key_of(pick, id);
  if (!finite || key <= LOWEST) {
    scores[pick] = LOWEST;
    return;
  }
  var score = unsorted(key) - highest - ln_1p(beside); // fine where one id is almost certain
  if (params.confidence_temperature > 0.0) {
    let noise = gumbel_of(confidence_word(position));
    if (params.order == ${ORDER.mmada}u) { score += params.confidence_temperature * noise; }
    else { score = exp(score) / params.confidence_temperature + noise; }
  }
  scores[pick] = sortable(score);
}
`,
);
