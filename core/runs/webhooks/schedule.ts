/**
 * When a delivery is tried again: the schedule of Standard Webhooks, as data (field-notes A11).
 *
 * @module
 */

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000];

export interface RetrySchedule {
  /** Milliseconds before each attempt, counted from the one before; the first from the event. */
  readonly delays_ms: readonly number[];
  /** Each delay grows by a random share of itself, 0 to this, so that receivers are not met by a wave. */
  readonly jitter: number;
  /** The most that a receiver's `Retry-After` can ask for. */
  readonly longest_ms: number;
}

/** At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. */
export const RETRY_SCHEDULE: RetrySchedule = {
  delays_ms: [
    0,
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
  ],
  jitter: 0.1,
  longest_ms: 24 * HOUR,
};

/** The same shape in less time, for tests. */
export function scaled(schedule: RetrySchedule, factor: number): RetrySchedule {
  return {
    delays_ms: schedule.delays_ms.map((delay) => delay * factor),
    jitter: schedule.jitter,
    longest_ms: schedule.longest_ms * factor,
  };
}

/**
 * Milliseconds until the next attempt; null when there is none.
 *
 * @param failed attempts that have failed, since the event or since a replay; 1 or more
 * @param retryAfter_ms what the receiver asked for; it may only lengthen the wait
 * @param random in [0, 1)
 */
export function nextDelay(
  schedule: RetrySchedule,
  failed: number,
  retryAfter_ms: number | null = null,
  random: () => number = Math.random,
): number | null {
  const delay = schedule.delays_ms[failed];
  if (delay === undefined) return null;
  const asked = Math.min(retryAfter_ms ?? 0, schedule.longest_ms);
  return Math.round(Math.max(delay * (1 + schedule.jitter * random()), asked));
}

/** Milliseconds that a `Retry-After` header asks for, in seconds or as a date; null if it says nothing usable. */
export function retryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * SECOND;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
