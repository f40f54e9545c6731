/**
 * Watching keys. A store's own watch is taken as a hint to look, never as the truth: over a network it may end, hang or
 * skip, so the keys are also read now and then, and only what was read is told.
 *
 * @module
 */

import { UnmaskError } from "../../errors.ts";
import type { Entry } from "./types.ts";

export interface Watched<T> {
  read(): Promise<(Entry<T> | null)[]>;
  /** A stream with an item at about every change; may fail. */
  hints(): ReadableStream<unknown>;
  /** Milliseconds between two reads without a hint. */
  readonly poll_ms: number;
  readonly signal: AbortSignal;
}

/** Yields what is there now, and then whenever a version differs from what was told last. */
export async function* watchEntries<T>(watched: Watched<T>): AsyncGenerator<(Entry<T> | null)[]> {
  const { signal } = watched;
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const hints = new Hints(watched.hints);
  let told: string | null = null;
  try {
    while (!signal.aborted) {
      // Asked for before the read, so that no change falls between the two.
      const hint = hints.next();
      const entries = await readUnlessAway(watched);
      if (signal.aborted) return;
      if (entries !== null) {
        const versions = entries.map((entry) => entry?.version ?? "-").join(" ");
        if (versions !== told) {
          told = versions;
          yield entries;
        }
      }
      await soonest([hint, aborted], watched.poll_ms);
    }
  } finally {
    hints.close();
  }
}

/** Null while the store does not answer: the watch outlives its server. */
async function readUnlessAway<T>(watched: Watched<T>): Promise<(Entry<T> | null)[] | null> {
  try {
    return await watched.read();
  } catch (error) {
    if (watched.signal.aborted) return null;
    if (error instanceof UnmaskError && ["store_unreachable", "store_failed", "store_closed"].includes(error.code)) {
      return null;
    }
    throw error;
  }
}

async function soonest(promises: readonly Promise<void>[], wait_ms: number): Promise<void> {
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, wait_ms);
  await Promise.race([...promises, timeout.promise]);
  clearTimeout(timer);
}

/** A stream that is opened again when it has failed, but only at the next question. */
class Hints {
  readonly #open: () => ReadableStream<unknown>;
  #reader: ReadableStreamDefaultReader<unknown> | null = null;
  #pending: Promise<void> | null = null;

  constructor(open: () => ReadableStream<unknown>) {
    this.#open = open;
  }

  /** Resolves at a change. While the stream is broken it never does: the caller's own patience is the pause. */
  next(): Promise<void> {
    this.#pending ??= this.#wait();
    return this.#pending;
  }

  async #wait(): Promise<void> {
    try {
      this.#reader ??= this.#open().getReader();
      const { done } = await this.#reader.read();
      if (!done) {
        this.#pending = null;
        return;
      }
    } catch {
      // Broken; opened again below.
    }
    this.#reader = null;
    this.#pending = null;
    await new Promise<void>(() => {});
  }

  close(): void {
    this.#reader?.cancel().catch(() => undefined);
    this.#reader = null;
  }
}
