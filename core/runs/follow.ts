/**
 * A run's events in order, from any number on, until the run has ended: by whatever process, in whatever process.
 *
 * @module
 */
import type { Here } from "./here.ts";
import { keys } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { isTerminal, parseRecord, type RunEvent, type RunRecord } from "./record.ts";
import { listAll } from "./store/types.ts";

/** Yields events after `after`; null each `beat` ms without one, so that a caller can say that it is still there. */
export async function* follow(
  ledger: Ledger,
  owner: string,
  id: string,
  after: number,
  signal: AbortSignal,
  beat = 10_000,
): AsyncGenerator<RunEvent | null> {
  let last = after;
  // Ended by whoever stops reading, too: a watch may never outlive its reader.
  const watching = new AbortController();
  const stop = () => watching.abort();
  if (signal.aborted) return;
  signal.addEventListener("abort", stop, { once: true });
  const changes = ledger.store.watch([keys.run(owner, id)], watching.signal)[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<unknown>> | undefined;
  try {
    while (!signal.aborted) {
      next ??= changes.next();
      const changed = await within(next, beat);
      if (changed === null) {
        yield null;
        continue;
      }
      next = undefined;
      if (changed.done === true) return;
      const record = await ledger.read(owner, id);
      if (record === null) return;
      if (record.record.sequence <= last) {
        if (isTerminal(record.record.state)) return;
        continue;
      }
      for await (const event of eventsAfter(ledger, owner, id, last)) {
        yield event;
        last = event.sequence;
      }
      if (isTerminal(record.record.state) && last >= record.record.sequence) return;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    watching.abort();
    await changes.return?.();
  }
}

/** Events after number `after`, as they are now. */
export async function* eventsAfter(
  ledger: Ledger,
  owner: string,
  id: string,
  after: number,
): AsyncGenerator<RunEvent> {
  const prefix = keys.eventsOf(owner, id);
  for await (const entry of listAll<RunEvent>(ledger.store, { prefix, start: [...prefix, after + 1] })) {
    yield entry.value;
  }
}

/**
 * Ms of silence of this process's worker after which the store is asked: the run may be another's by now. One that waits
 * is taken here at once or by whoever comes first, so that the store is asked soon.
 */
const SILENCE = { running: 1000, queued: 50 } as const;

/** Waits until the run has ended. @returns its last record, or null if it is not there */
export async function ended(
  ledger: Ledger,
  owner: string,
  id: string,
  signal: AbortSignal,
): Promise<RunRecord | null> {
  while (!signal.aborted) {
    const here = ledger.here.has(id);
    const record = here === null
      ? await seenInStore(ledger, owner, id, signal)
      : await toldHere(ledger.here, id, SILENCE[here], signal);
    if (record !== null && isTerminal(record.state)) return record;
    if (record === null && here === null) return null;
  }
  return null;
}

/** The next record in which a run that this process works on has stopped. Null: silence, or `signal` has aborted. */
function toldHere(here: Here, id: string, silent: number, signal: AbortSignal): Promise<RunRecord | null> {
  return new Promise((resolve) => {
    const end = (record: RunRecord | null) => {
      clearTimeout(timer);
      silence();
      signal.removeEventListener("abort", leave);
      resolve(record);
    };
    const leave = () => end(null);
    const unheard = () => {
      here.forget(id);
      end(null);
    };
    let timer = setTimeout(unheard, silent);
    const silence = here.listen(id, (record) => {
      clearTimeout(timer);
      if (record.state !== "running") return end(record);
      timer = setTimeout(unheard, SILENCE.running);
    });
    signal.addEventListener("abort", leave, { once: true });
  });
}

/** The run's record once it has ended, or once this process has written one. Null: there is none, or it is over. */
async function seenInStore(ledger: Ledger, owner: string, id: string, signal: AbortSignal): Promise<RunRecord | null> {
  let written: RunRecord | null = null;
  const watching = new AbortController();
  const stop = () => watching.abort();
  const silence = ledger.here.listen(id, (record) => {
    written = record;
    stop();
  });
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    for await (const [entry] of ledger.store.watch([keys.run(owner, id)], watching.signal)) {
      if (entry === null || entry === undefined) return null;
      const record = parseRecord(entry.value);
      if (isTerminal(record.state)) return record;
    }
    return written;
  } finally {
    silence();
    signal.removeEventListener("abort", stop);
  }
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), milliseconds);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
