/**
 * Temperatures that fall from 1 to a minimum over the steps of a run: that of the confidence noise and, apart from it,
 * a factor on the sampling temperature.
 *
 * Source: facts 6.1; numbers in test/parity/schedule.json, of which these are within one unit in the last place.
 *
 * @module
 */
import { curve, type CurveName } from "./schedule.ts";

export const DECAYS = ["none", "linear", "cosine2", "shift", "exp"] as const;
/** `none` keeps 1. The published code refuses `exp` for the confidence noise, and so does the task. */
export type DecayName = (typeof DECAYS)[number];

const f32 = Math.fround;

/**
 * The factor at one step: min + (1 - min) sigma(1 - t) with t = (step - 1) / (steps - 1), in fp32.
 *
 * @param step 1 to `steps`
 * @param minimum value at the last step, in [0, 1]
 * @param shift for the decay `shift`
 */
export function decay(name: DecayName, step: number, steps: number, minimum: number, shift: number): number {
  if (name === "none" || steps === 1) return 1;
  const sigma = curve(name satisfies CurveName, f32(1 - evenly(step - 1, steps - 1)), shift);
  return f32(f32(minimum) + f32(f32(1 - minimum) * sigma));
}

/** i / n as torch.linspace(0, 1) has it: counted from the nearer end, in fp32. */
function evenly(i: number, n: number): number {
  const part = f32(1 / n);
  return 2 * i < n + 1 ? f32(part * i) : f32(1 - f32(part * (n - i)));
}
