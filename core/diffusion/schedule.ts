/**
 * How many positions each step reveals. All arithmetic is fp32, operation by operation, because a count is the floor of
 * a product and a last bit decides it.
 *
 * Source: facts 6.2; golden values in facts 12 and test/parity/schedule.json.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";

/** `none`: equal parts, the remainder to the first steps. The others are curves t -> sigma; `linear` is sigma = t. */
export const SCHEDULES = ["shift", "cosine", "cosine2", "exp", "logit_normal", "linear", "none"] as const;
export type ScheduleName = (typeof SCHEDULES)[number];
export type CurveName = Exclude<ScheduleName, "none">;

/** `exp` never gives less than this. */
const EXP_FLOOR = 1e-4;

const f32 = Math.fround;

/**
 * sigma(t) in fp32.
 *
 * @param t in [0, 1]
 * @param shift slope of `shift` at 0; other curves do not look at it
 */
export function curve(name: CurveName, t: number, shift: number): number {
  const x = f32(t);
  switch (name) {
    case "shift": {
      const s = f32(shift);
      return f32(f32(s * x) / f32(1 + f32(f32(s - 1) * x)));
    }
    case "cosine":
      return f32(1 - f32(0.5 * f32(1 + f32(Math.cos(f32(f32(Math.PI) * x))))));
    case "cosine2":
      return f32(Math.cos(f32(f32(f32(Math.PI) * f32(1 - x)) * 0.5)));
    case "exp":
      return Math.max(f32(EXP_FLOOR), f32(f32(1 - f32(Math.exp(f32(-5 * x)))) / f32(1 - f32(Math.exp(-5)))));
    case "logit_normal":
      return f32(normalCdf(f32(Math.log(f32(x / f32(1 - x))))));
    case "linear":
      return x;
  }
}

/**
 * The number of positions to reveal in each step, first step first; the sum is `positions`. Named curves clip `steps` to
 * `positions`; `none` does not, and then reveals nothing in its last steps.
 *
 * @param positions masked positions, at least 1
 * @param steps at least 1
 * @param shift for `shift` only, above 0
 * @throws {UnmaskError} `schedule_invalid`
 */
export function counts(positions: number, steps: number, name: ScheduleName, shift: number): number[] {
  if (!Number.isInteger(positions) || positions < 1 || !Number.isInteger(steps) || steps < 1) {
    throw new UnmaskError({
      code: "schedule_invalid",
      message: `a schedule of ${steps} steps over ${positions} positions does not exist`,
      fix: "use whole numbers of at least 1",
      param: "steps",
    });
  }
  if (name === "shift" && !(shift > 0 && Number.isFinite(shift))) {
    throw new UnmaskError({
      code: "schedule_invalid",
      message: `shift is ${shift}`,
      fix: "use a number above 0, such as 5",
      param: "shift",
    });
  }
  if (name === "none") {
    const part = Math.floor(positions / steps);
    return Array.from({ length: steps }, (_, step) => part + (step < positions % steps ? 1 : 0));
  }
  const length = Math.min(steps, positions);
  const revealed = (step: number) => Math.floor(f32(curve(name, step / length, shift) * positions));
  const list = Array.from({ length }, (_, step) => Math.max(1, revealed(step + 1) - revealed(step)));
  let excess = list.reduce((sum, count) => sum + count, 0) - positions;
  for (let i = 0; excess > 0; i = (i + 1) % length) {
    const count = list[i] ?? 1;
    if (count > 1) {
      list[i] = count - 1;
      excess--;
    }
  }
  return list.reverse();
}

/**
 * Phi(x), the standard normal distribution function, exact to about 1e-15. erf by its series of positive terms, which
 * cannot cancel: erf(z) = 2/sqrt(pi) e^(-z^2) sum 2^n z^(2n+1) / (2n+1)!!.
 */
function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  if (z > 6) return x > 0 ? 1 : 0;
  let term = z;
  let sum = z;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * z * z) / (2 * n + 1);
    sum += term;
  }
  const erf = (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum;
  return 0.5 * (1 + Math.sign(x) * erf);
}
