/**
 * `/stream/{id}` hands each chunk over once: what came since the last call, or since it was accepted. Where the last call
 * stood is kept in the store, so that any process can answer the next one.
 *
 * @module
 */
import { ended, eventsAfter, follow } from "../../core/runs/follow.ts";
import { isTerminal, type RunEvent, type RunRecord } from "../../core/runs/record.ts";
import { jobOf, type JobState } from "../../core/runs/views/job.ts";
import { type Json, outputOf } from "../../core/runs/views/output.ts";
import type { ProtocolDoor } from "./protocol_door.ts";

export interface Chunks {
  readonly status: JobState;
  readonly stream: readonly { readonly output: Json }[];
}

/** Ms that a call waits for something new: clients ask again at once. */
const PATIENCE = 5000;
/** A cursor outlives its run's usual time, and no more. */
const CURSOR_LIFE = 86_400_000;

export async function jobChunks(
  { runs, closing }: ProtocolDoor,
  { owner, id }: RunRecord,
  client: AbortSignal,
): Promise<Chunks> {
  const { store, now } = runs.ledger;
  const key = ["runpod_stream", owner, id] as const;
  const cursor = await store.get<number>(key);
  const after = cursor?.value ?? 0;
  const patience = AbortSignal.any([
    client,
    ...(closing === undefined ? [] : [closing]),
    AbortSignal.timeout(PATIENCE),
  ]);
  await somethingNew(runs.ledger, owner, id, after, patience);
  const record = await runs.get(owner, id);
  const events: RunEvent[] = [];
  for await (const event of eventsAfter(runs.ledger, owner, id, after)) {
    // What came after the record was read belongs to the next call.
    if (event.sequence <= record.sequence) events.push(event);
  }
  const last = events.at(-1)?.sequence;
  if (last !== undefined) {
    // Two callers at once share the chunks: whoever comes second gets none of these.
    const taken = await store.commit({
      checks: [{ key, version: cursor?.version ?? null }],
      sets: [{ key, value: last, expires_at: now() + CURSOR_LIFE }],
    });
    if (!taken.ok) return { status: jobOf(record, null).status, stream: [] };
  }
  const stream: { output: Json }[] = events.filter(({ type }) => type === "run.step").map(({ data }) => ({
    output: { step: Number(data["step"]), steps: Number(data["steps"]) },
  }));
  if (isTerminal(record.state) && last !== undefined) {
    const output = await outputOf(runs, record);
    if (output !== null) stream.push({ output });
  }
  return { status: jobOf(record, null).status, stream };
}

/** Until a step, the end, or no more patience. */
async function somethingNew(
  ledger: ProtocolDoor["runs"]["ledger"],
  owner: string,
  id: string,
  after: number,
  patience: AbortSignal,
): Promise<void> {
  for await (const event of follow(ledger, owner, id, after, patience, PATIENCE)) {
    if (event === null || event.type === "run.step") return;
  }
  // The reader's events were all there already: then only the end can be new.
  if (!patience.aborted) await ended(ledger, owner, id, patience);
}
