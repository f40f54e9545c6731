/**
 * What RunPod's clients ask of a queue as a whole: how it stands, and to be emptied. Of the asker's own jobs only.
 *
 * @module
 */
import { keys } from "../../core/runs/keys.ts";
import { type Lease, parseRecord, type RunRecord } from "../../core/runs/record.ts";
import type { Runs } from "../../core/runs/service.ts";
import { listAll } from "../../core/runs/store/types.ts";
import type { ProtocolDoor } from "./protocol_door.ts";

/** Newest runs that are counted: an endpoint with more is told of these. */
const COUNTED = 1000;

export interface EndpointHealth {
  readonly jobs: {
    readonly completed: number;
    readonly failed: number;
    readonly inProgress: number;
    readonly inQueue: number;
    readonly retried: number;
  };
  readonly workers: { readonly idle: number; readonly running: number };
}

export async function endpointHealth({ runs, busy: isBusy }: ProtocolDoor, owner: string): Promise<EndpointHealth> {
  const own = await newest(runs, owner);
  const count = (...states: readonly RunRecord["state"][]) => own.filter(({ state }) => states.includes(state)).length;
  const busy = new Set<string>();
  for await (const { value } of listAll<Lease>(runs.ledger.store, { prefix: keys.allLeases })) busy.add(value.worker);
  // Workers elsewhere are seen by what they hold; the one in this process also when it holds nothing.
  const here = isBusy === undefined ? 0 : 1;
  return {
    jobs: {
      completed: count("succeeded"),
      failed: count("failed", "expired"),
      inProgress: count("running", "paused"),
      inQueue: count("queued"),
      retried: own.filter(({ claims }) => claims > 1).length,
    },
    workers: { idle: Math.max(0, here - busy.size), running: busy.size },
  };
}

/** Cancels what waits. @returns how many */
export async function purgeQueue(runs: Runs, owner: string): Promise<number> {
  let removed = 0;
  for await (const { value } of listAll(runs.ledger.store, { prefix: keys.runsOf(owner) })) {
    const { id, state } = parseRecord(value);
    if (state !== "queued") continue;
    if ((await runs.cancel(owner, id)).state === "cancelled") removed++;
  }
  return removed;
}

async function newest(runs: Runs, owner: string): Promise<RunRecord[]> {
  const found: RunRecord[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Runs["list"]>> = await runs.list(owner, { limit: 100, cursor });
    found.push(...page.records);
    cursor = page.cursor;
  } while (cursor !== null && found.length < COUNTED);
  return found;
}
