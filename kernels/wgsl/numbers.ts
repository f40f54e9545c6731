/**
 * Pieces of WGSL that several kernels share: numbers as sortable words, logarithms and random numbers.
 *
 * @module
 */

/**
 * fp32 as u32 that sort alike. NaN counts as -Infinity and -0 as 0. Everything is compared as words: a driver may assume
 * that there are neither NaNs nor infinities, in integers it cannot.
 */
export const SORTABLE = `
const LOWEST: u32 = 0x007fffffu; // -Infinity
const HIGHEST: u32 = 0xff800000u; // Infinity

fn sortable(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return LOWEST; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn unsorted(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}
`;

/**
 * ln x for positive, normal, finite x, within one unit in the last place, near 1 too. WGSL's own `log` is only promised
 * to 2^-21 there, and the noise that wins comes from u just below 1.
 *
 * Reduction and coefficients: fdlibm's `logf` (Sun Microsystems, FreeBSD msun).
 */
export const LOGARITHM = `
// ln(1 + f) + more, for 1 + f from sqrt(1/2) to sqrt(2).
fn near_one(f: f32, more: f32) -> f32 {
  let s = f / (2.0 + f);
  let z = s * s;
  let w = z * z;
  let r = z * (0.66666662693 + w * 0.28498786688) + w * (0.40000972152 + w * 0.24279078841);
  let half = 0.5 * f * f;
  return s * (half + r) + more - half + f;
}

fn ln(x: f32) -> f32 {
  let shifted = bitcast<u32>(x) + (0x3f800000u - 0x3f3504f3u);
  let k = f32(i32(shifted >> 23u) - 127);
  let f = bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0; // x = 2^k (1 + f), 1 + f about 1
  return near_one(f, k * 9.0580006145e-06) + k * 6.9313812256e-01;
}

// ln(1 + x) for x of at least 0: of the smallest x too.
fn ln_1p(x: f32) -> f32 {
  if (x < 0.4) { return near_one(x, 0.0); }
  return ln(1.0 + x);
}
`;

/** Philox4x32-10 (core/diffusion/philox.ts), and what is made of its words. Needs {@link LOGARITHM}. */
export const RANDOM = `
fn high_word(a: u32, b: u32) -> u32 {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  let other = a0 * b1 + (middle & 0xffffu);
  return a1 * b1 + (middle >> 16u) + (other >> 16u);
}

fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
  var x = counter;
  var key = seed;
  for (var round = 0u; round < 10u; round++) {
    let high0 = high_word(x.x, 0xd2511f53u);
    let high1 = high_word(x.z, 0xcd9e8d57u);
    x = vec4<u32>(high1 ^ x.y ^ key.x, x.z * 0xcd9e8d57u, high0 ^ x.w ^ key.y, x.x * 0xd2511f53u);
    key += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return x;
}

// A word as u in (0, 1), exact in fp32.
fn uniform_of(word: u32) -> f32 {
  return (f32(word >> 9u) + 0.5) * 1.1920928955078125e-7;
}

fn gumbel_of(word: u32) -> f32 {
  return -ln(-ln(uniform_of(word)));
}
`;
