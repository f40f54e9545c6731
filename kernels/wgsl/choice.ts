/**
 * What the kernels share that choose an id from the logits of one position with a whole workgroup: the largest of all
 * threads, sums over them, and the Gumbel argmax.
 *
 * @module
 */
import { THREADS } from "./kernel.ts";
import { LOGARITHM, RANDOM, SORTABLE } from "./numbers.ts";

/** Parameters of every kernel that chooses. */
export const CHOICE_PARAMS = [
  ["vocabulary", "u32"],
  /** 0 takes the likeliest. */
  ["temperature", "f32"],
  ["key0", "u32"],
  ["key1", "u32"],
  ["step", "u32"],
  /** Last counter words of candidates and of confidence: phase << 16 | round. */
  ["candidate_phase", "u32"],
  ["confidence_phase", "u32"],
] as const;

/**
 * What every kernel that chooses is asked and answers, behind its `logits` bindings: positions u32 [picks], read; words
 * u32 [picks], written; scores u32 [picks] sortable, written.
 */
export function choiceBindings(logits: number): string {
  return `
@group(0) @binding(${logits + 1}) var<storage, read> positions: array<u32>;
@group(0) @binding(${logits + 2}) var<storage, read_write> words: array<u32>;
@group(0) @binding(${logits + 3}) var<storage, read_write> scores: array<u32>;
`;
}

/** Needs {@link CHOICE_PARAMS} and `fn key_of(pick: u32, id: u32) -> u32`, an id's logit as a sortable word. */
export const CHOICE = `${SORTABLE}${LOGARITHM}${RANDOM}
const THREADS: u32 = ${THREADS}u;
// More than the largest Gumbel number, 16.64.
const MOST: f32 = 16.7;

var<workgroup> best_keys: array<u32, THREADS>;
var<workgroup> best_ids: array<u32, THREADS>;
var<workgroup> sums: array<vec3<f32>, THREADS>;

// The largest key of all threads with the lowest id that has it.
fn best_of_all(thread: u32, key: u32, id: u32) -> vec2<u32> {
  best_keys[thread] = key;
  best_ids[thread] = id;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      let other = best_keys[thread + half];
      let other_id = best_ids[thread + half];
      if (other > best_keys[thread] || (other == best_keys[thread] && other_id < best_ids[thread])) {
        best_keys[thread] = other;
        best_ids[thread] = other_id;
      }
    }
  }
  workgroupBarrier();
  let result = vec2<u32>(best_keys[0], best_ids[0]);
  workgroupBarrier();
  return result;
}

fn sum_of_all(thread: u32, value: vec3<f32>) -> vec3<f32> {
  sums[thread] = value;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }
  workgroupBarrier();
  let result = sums[0];
  workgroupBarrier();
  return result;
}

// What a logit weighs: 1, or its probability as a share of the largest one's.
fn weight(key: u32, highest: f32, by_mass: bool) -> f32 {
  if (!by_mass) { return 1.0; }
  if (key <= LOWEST) { return 0.0; }
  let below = unsorted(key) - highest;
  return select(exp(below), 1.0, below == 0.0); // exactly, so that a lone candidate is certain
}

// The mass of all keys from \`lowest\` on, beside that of the likeliest id, which is 1.
fn mass_beside(thread: u32, pick: u32, likeliest: vec2<u32>, lowest: u32) -> f32 {
  var own = 0.0;
  for (var id = thread; id < params.vocabulary; id += THREADS) {
    let key = key_of(pick, id);
    if (key >= lowest && id != likeliest.y) { own += weight(key, unsorted(likeliest.x), true); }
  }
  return sum_of_all(thread, vec3<f32>(own, 0.0, 0.0)).x;
}

fn score_of(key: u32, word: u32) -> u32 {
  if (key <= LOWEST || key == HIGHEST) { return key; }
  return sortable(unsorted(key) / params.temperature + gumbel_of(word));
}

// The largest key of a position and the lowest id that has it.
fn likeliest_of(thread: u32, pick: u32) -> vec2<u32> {
  var own_key = 0u;
  var own_id = 0xffffffffu;
  for (var id = thread; id < params.vocabulary; id += THREADS) {
    let key = key_of(pick, id);
    if (key > own_key) {
      own_key = key;
      own_id = id;
    }
  }
  return best_of_all(thread, own_key, own_id);
}

fn seed() -> vec2<u32> {
  return vec2<u32>(params.key0, params.key1);
}

// The random word of a position's confidence.
fn confidence_word(position: u32) -> u32 {
  return philox(vec4<u32>(0u, position, params.step, params.confidence_phase), seed()).x;
}

// The Gumbel argmax among the keys from \`lowest\` on. \`first\`: of likeliest_of.
fn drawn(thread: u32, pick: u32, position: u32, first: vec2<u32>, lowest: u32) -> u32 {
  if (params.temperature <= 0.0) { return first.y; }
  // The score of the likeliest is a bar that rules most groups out before they cost random numbers.
  let lane = first.y & 3u;
  let block = philox(vec4<u32>(first.y >> 2u, position, params.step, params.candidate_phase), seed());
  var own_key = 0u;
  var own_id = first.y;
  let bar = score_of(first.x, block[lane]);
  for (var group = thread; 4u * group < params.vocabulary; group += THREADS) {
    let begin = 4u * group;
    var keys = vec4<u32>(0u);
    for (var i = 0u; i < 4u; i++) {
      if (begin + i < params.vocabulary) { keys[i] = key_of(pick, begin + i); }
    }
    let likeliest = max(max(keys.x, keys.y), max(keys.z, keys.w));
    if (likeliest < max(lowest, LOWEST + 1u)) { continue; }
    if (likeliest < HIGHEST && sortable(unsorted(likeliest) / params.temperature + MOST) < bar) { continue; }
    let random = philox(vec4<u32>(group, position, params.step, params.candidate_phase), seed());
    for (var i = 0u; i < 4u; i++) {
      if (keys[i] < lowest || keys[i] <= LOWEST) { continue; }
      let score = score_of(keys[i], random[i]);
      if (score > own_key) {
        own_key = score;
        own_id = begin + i;
      }
    }
  }
  return best_of_all(thread, own_key, own_id).y;
}
`;
