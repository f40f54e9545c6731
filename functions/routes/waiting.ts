/**
 * Waiting for a run's end, as every door does it: until it has ended, the caller's patience has, or this server stops. A
 * waiting caller that leaves cancels its own run, unless it asked to keep it.
 *
 * @module
 */
import type { Context } from "hono";
import { ended } from "../../core/runs/follow.ts";
import { isTerminal, type RunRecord } from "../../core/runs/record.ts";
import type { Accepted } from "../../core/runs/acceptance.ts";
import type { Runs } from "../../core/runs/service.ts";
import type { Preference } from "../middleware/prefer.ts";
import type { Environment } from "../middleware/request_id.ts";

/** Where runs are, and when this server stops. */
export interface WaitingPlace {
  readonly runs: Runs;
  readonly closing?: AbortSignal;
}

/** @returns the run at its end, or as it is */
export async function settled(
  context: Context<Environment>,
  { runs, closing }: WaitingPlace,
  { wait, keep }: Preference,
  { record, attached }: Accepted,
): Promise<RunRecord> {
  context.set("run", record.id);
  if (wait === 0 || isTerminal(record.state)) return record;
  const client = context.req.raw.signal;
  const patience = AbortSignal.any([
    client,
    ...(closing === undefined ? [] : [closing]),
    ...(wait === null ? [] : [AbortSignal.timeout(wait)]),
  ]);
  const last = await ended(runs.ledger, record.owner, record.id, patience);
  if (last !== null) return last;
  if (client.aborted) {
    if (!keep && !attached) await runs.cancel(record.owner, record.id);
    throw client.reason;
  }
  return await runs.get(record.owner, record.id);
}
