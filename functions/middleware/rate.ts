/**
 * How often one owner may ask: a bucket of tokens that fills up at a steady rate. Of this process alone; how much work
 * an owner may have lying about is counted where the work is (core/runs/admission.ts).
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { UnmaskError } from "../../core/errors.ts";
import type { Environment } from "./request_id.ts";

export interface RateOptions {
  /** Requests a second, on average. @default {50} */
  readonly rate?: number;
  /** Requests at once after a pause, in seconds' worth of the rate. @default {4} */
  readonly burst?: number;
  /** Ms; for tests. */
  readonly now?: () => number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Owners remembered; beyond it the ones that have asked least lately are forgotten, with full buckets. */
const MOST = 10_000;

/** @throws `rate_limited` (429, with Retry-After) */
export function rateLimit(options: RateOptions = {}): MiddlewareHandler<Environment> {
  const { rate: usual = 50, burst = 4, now = () => performance.now() } = options;
  const buckets = new Map<string, Bucket>();
  return async (context, next) => {
    const caller = context.get("caller");
    if (caller !== undefined) {
      const rate = caller.key?.rate ?? usual;
      const capacity = Math.max(1, rate * burst);
      const time = now();
      const last = buckets.get(caller.owner) ?? { tokens: capacity, at: time };
      const tokens = Math.min(capacity, last.tokens + (time - last.at) / 1000 * rate);
      // Moved to the end: a map keeps the order of insertion.
      buckets.delete(caller.owner);
      buckets.set(caller.owner, { tokens: tokens < 1 ? tokens : tokens - 1, at: time });
      if (buckets.size > MOST) buckets.delete(buckets.keys().next().value ?? "");
      if (tokens < 1) throw limited(rate, (1 - tokens) / rate);
    }
    await next();
  };
}

function limited(rate: number, seconds: number): UnmaskError {
  return new UnmaskError({
    code: "rate_limited",
    message: `more than ${rate} requests a second`,
    fix: "wait the seconds that the header Retry-After names, or ask for a key with a higher rate",
    status: 429,
    retryAfter: Math.ceil(seconds),
  });
}
