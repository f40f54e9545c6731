/**
 * Classifier-free guidance as arithmetic on logits, in fp32 as the published code rounds it. Every function works on
 * plain ranges of large arrays and writes into one the caller owns, so that a step allocates nothing.
 *
 * Source: facts 6.1 (drawing), 6.4 (editing).
 *
 * @module
 */

const f32 = Math.fround;

/** Part of a run in which guidance acts, as fractions of its steps, ends included. */
export type GuidanceInterval = readonly [from: number, to: number];

/** Whether step `step` of `steps` is guided: int(aS) <= step <= int(bS). Without an interval every step is. */
export function guided(step: number, steps: number, interval?: GuidanceInterval): boolean {
  if (interval === undefined) return true;
  return Math.trunc(interval[0] * steps) <= step && step <= Math.trunc(interval[1] * steps);
}

/**
 * (1 + w) c - w u over `length` logits that start at `offset` in both rows; written to `out` from 0.
 *
 * @param w guidance; 0 copies `conditional`
 */
export function guide(
  conditional: Float32Array,
  unconditional: Float32Array,
  offset: number,
  length: number,
  w: number,
  out: Float32Array,
): void {
  const plus = f32(1 + w);
  const minus = f32(w);
  for (let i = 0; i < length; i++) {
    const c = conditional[offset + i] as number;
    const u = unconditional[offset + i] as number;
    out[i] = f32(f32(plus * c) - f32(minus * u));
  }
}

/**
 * What the `enc` row of an edit keeps: 0 the source's VQ tokens only, 1 all but those, 2 all but those and the tower's
 * tokens, 3 both.
 */
export type EditMode = 0 | 1 | 2 | 3;

/**
 * Three-way guidance of an edit, same ranges as {@link guide}. Modes 0 and 3: c = (1 + wi) full - wi enc; modes 1 and 2:
 * c = (full + wi enc) / (1 + wi). Then (1 + w) c - w un.
 *
 * @param w guidance by the prompt
 * @param imageGuidance wi, guidance by the source picture
 */
export function guideEdit(
  full: Float32Array,
  enc: Float32Array,
  un: Float32Array,
  offset: number,
  length: number,
  mode: EditMode,
  w: number,
  imageGuidance: number,
  out: Float32Array,
): void {
  const [onFull, onEnc] = editWeights(mode, imageGuidance);
  const plus = f32(1 + w);
  const minus = f32(w);
  for (let i = 0; i < length; i++) {
    const c = f32(f32(onFull * (full[offset + i] as number)) + f32(onEnc * (enc[offset + i] as number)));
    out[i] = f32(f32(plus * c) - f32(minus * (un[offset + i] as number)));
  }
}

/** The weights of `full` and `enc` in c; they sum to 1. */
export function editWeights(mode: EditMode, imageGuidance: number): readonly [full: number, enc: number] {
  if (mode === 0 || mode === 3) return [f32(1 + imageGuidance), f32(-imageGuidance)];
  return [f32(1 / (1 + imageGuidance)), f32(imageGuidance / (1 + imageGuidance))];
}
