/**
 * The one lock. onnxruntime-web hangs or corrupts its memory when two calls overlap, in whatever sessions (field-notes,
 * row 9), so every create, run, read and release of this thread goes through here, one after another. Each thread has a
 * runtime, and so a lock, of its own.
 *
 * @module
 */

/** What the lock has seen since the thread began. */
export interface LockCounters {
  /** Pieces of work that have begun. */
  readonly entries: number;
  /** The most that were ever at work at once; 1 unless the lock is broken. */
  readonly peak: number;
}

let tail: Promise<unknown> = Promise.resolve();
let entries = 0;
let inside = 0;
let peak = 0;

/** Runs `work` when all earlier work has settled; a failure is the caller's and stops nobody behind it. */
export function exclusive<T>(work: () => T | Promise<T>): Promise<T> {
  const result = tail.then(async () => {
    entries++;
    peak = Math.max(peak, ++inside);
    try {
      return await work();
    } finally {
      inside--;
    }
  });
  tail = result.catch(() => undefined);
  return result;
}

export function lockCounters(): LockCounters {
  return { entries, peak };
}
