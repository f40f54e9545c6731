/**
 * What must be true once everything has settled, whatever happened on the way. Reads the store itself, not what anybody
 * says of it.
 *
 * @module
 */
import { eventsAfter } from "../../core/runs/follow.ts";
import { RESULT } from "../../core/runs/active_run.ts";
import { keys } from "../../core/runs/keys.ts";
import { Ledger } from "../../core/runs/ledger.ts";
import { isTerminal, parseRecord, type RunEvent, type RunRecord } from "../../core/runs/record.ts";
import { Retention } from "../../core/runs/retention.ts";
import { kindOf } from "../../core/runs/state/kind.ts";
import { KINDS } from "../../core/runs/state/kinds.ts";
import { readState } from "../../core/runs/stored_state.ts";
import { readBlob } from "../../core/runs/store/blobs.ts";
import { orphanedParts } from "../../core/runs/store/sweep.ts";
import { listAll, type Store } from "../../core/runs/store/types.ts";
import type { Promised } from "./client.ts";
import type { References } from "./reference.ts";
import type { Witness } from "./witness.ts";

/** What was broken, by name, with where. */
export class Violations {
  readonly #found = new Map<string, string[]>();

  add(name: string, where: string): void {
    this.#found.set(name, [...this.#found.get(name) ?? [], where]);
  }

  get count(): number {
    return [...this.#found.values()].reduce((sum, list) => sum + list.length, 0);
  }

  get byName(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#found].map(([name, list]) => [name, list.length]));
  }

  get lines(): string[] {
    return [...this.#found].flatMap(([name, list]) => list.slice(0, 5).map((where) => `${name}: ${where}`));
  }
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Every record in the store, by id. */
export async function recordsOf(store: Store): Promise<Map<string, RunRecord>> {
  const records = new Map<string, RunRecord>();
  for await (const { value } of listAll(store, { prefix: ["run"] })) {
    const record = parseRecord(value);
    records.set(record.id, record);
  }
  return records;
}

export async function eventsOf(store: Store, { owner, id }: RunRecord): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of eventsAfter(new Ledger(store), owner, id, 0)) events.push(event);
  return events;
}

/** Records, events, states and pictures of all runs. */
export async function judgeRuns(
  store: Store,
  records: ReadonlyMap<string, RunRecord>,
  promised: readonly Promised[],
  references: References,
  violations: Violations,
): Promise<void> {
  for (const { id, broken } of promised) {
    if (!records.has(id)) violations.add("accepted_lost", id);
    for (const where of broken) violations.add("stream_gap", `${id}: ${where}`);
  }
  // Whoever asked again until it was answered has one run of it.
  const known = new Set(promised.map(({ id }) => id));
  for (const id of records.keys()) if (!known.has(id)) violations.add("accepted_twice", id);
  const streams = new Map(promised.map((run) => [run.id, run.streamed]));
  const plans = new Map(promised.map((run) => [run.id, run.plan]));
  for (const record of records.values()) {
    const events = await eventsOf(store, record);
    judgeEvents(record, events, violations);
    for (const [number, text] of streams.get(record.id) ?? []) {
      if (JSON.stringify(events[number - 1]) !== text) violations.add("stream_differs", `${record.id} ${number}`);
    }
    const behaviour = plans.get(record.id)?.behaviour;
    const expected = behaviour === "cancel_at_finish" || behaviour === "request_left"
      ? ["succeeded", "cancelled"]
      : ["succeeded"];
    if (isTerminal(record.state) && !expected.includes(record.state)) {
      violations.add("ended_otherwise", `${record.id} ${record.state} ${record.error?.code ?? ""}`);
    }
    if (!record.exact) violations.add("not_exact", record.id);
    await judgeBytes(store, record, references, violations);
    await judgeText(store, record, events, violations);
  }
}

function judgeEvents(record: RunRecord, events: readonly RunEvent[], violations: Violations): void {
  const { id, state, sequence } = record;
  if (!isTerminal(state)) violations.add("not_ended", `${id} ${state}`);
  const ends = events.filter(({ type }) => /^run\.(succeeded|failed|cancelled|expired)$/.test(type));
  if (ends.length !== 1 || events.at(-1)?.type !== `run.${state}`) violations.add("not_one_end", id);
  if (events.length !== sequence || events.some((event, i) => event.sequence !== i + 1)) {
    violations.add("event_gap", id);
  }
  const steps = events.filter(({ type }) => type === "run.step").map(({ data }) => Number(data.step));
  if (steps.some((step, i) => i > 0 && step !== (steps[i - 1] ?? 0) + 1)) violations.add("step_gap", id);
  if (steps.length > 0 && steps.at(-1) !== record.step) violations.add("step_gap", `${id} ends at ${record.step}`);
}

async function judgeBytes(
  store: Store,
  record: RunRecord,
  references: References,
  violations: Violations,
): Promise<void> {
  const { owner, id } = record;
  const state = await readState(store, keys.state(owner, id), owner, id);
  if (state !== null) {
    const expected = (await references.of(record)).states.get(record.step) ?? [];
    const kind = kindOf(KINDS, record.task);
    if (!expected.some((one) => same(kind.encode(kind.detach?.(one) ?? one), state))) {
      violations.add("state_differs", id);
    }
  } else if (record.step > 0) violations.add("state_missing", id);
  if (record.state !== "succeeded") return;
  const blob = await readBlob(store, { owner, run: id, name: RESULT });
  if (blob === null) violations.add("result_missing", id);
  else if (!same(blob.bytes, await references.result(record))) violations.add("result_differs", id);
}

/** What was told of an answer while it grew is the answer, once and whole. */
async function judgeText(
  store: Store,
  { owner, id, task, state }: RunRecord,
  events: readonly RunEvent[],
  violations: Violations,
): Promise<void> {
  if (task !== "answer" || state !== "succeeded") return;
  const told = events.filter(({ type }) => type === "run.text").map(({ data }) => data.text).join("");
  const blob = await readBlob(store, { owner, run: id, name: RESULT });
  if (blob !== null && told !== new TextDecoder().decode(blob.bytes)) violations.add("text_told_otherwise", id);
}

/** Nothing is held, waits or lies about. @returns blobs that were in parts, and parts that a sweep took away */
export async function judgeStore(store: Store, violations: Violations): Promise<{ parts: number; swept: number }> {
  for (const [name, prefix] of [["left_leased", keys.allLeases], ["left_waiting", keys.allPending]] as const) {
    for await (const { key } of listAll(store, { prefix })) violations.add(name, key.join(" "));
  }
  const count = async (prefix: string) => {
    let count = 0;
    for await (const _ of listAll(store, { prefix: [prefix], limit: 10 })) count++;
    return count;
  };
  const before = await count("blob_part");
  await new Retention(new Ledger(store), 0).sweep();
  const parts = await count("blob_part");
  for (const key of await orphanedParts(store)) violations.add("orphaned_part", key.join(" "));
  if (await count("blob_mark") > 0) violations.add("left_mark", `${await count("blob_mark")} uploads`);
  return { parts, swept: before - parts };
}

export function judgeWrites(witness: Witness, violations: Violations): void {
  for (const { run, by, token } of witness.stale()) violations.add("stale_write", `${run} by ${by} under ${token}`);
}
