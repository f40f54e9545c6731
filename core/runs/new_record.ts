/**
 * The first record of a run.
 *
 * @module
 */
import { newRunId } from "./keys.ts";
import { rankOf } from "./queue.ts";
import type { Origin, RunRecord } from "./record.ts";
import type { CreateRequest, ForkRequest } from "./run_request.ts";

/** What may be said of any run beside its task and input. */
export type RunOptions = Omit<ForkRequest, "step" | "input">;

/** A run that is being accepted, in its place in the queue. @param now Unix ms */
export function newRecord(
  now: number,
  owner: string,
  task: string,
  input: CreateRequest["input"],
  options: RunOptions,
  origin: Origin | null,
): RunRecord {
  const { priority = 5, budget_ms = null, deadline_ms = null, work_ms = null } = options;
  const { require_exact = false, output, webhooks = [] } = options;
  return {
    id: newRunId(now),
    owner,
    task,
    input,
    state: "queued",
    priority,
    created_at: now,
    started_at: null,
    finished_at: null,
    deadline: deadline_ms === null ? null : now + deadline_ms,
    work_ms,
    budget_ms,
    expires_at: null,
    token: 0,
    attempts: 0,
    claims: 0,
    sequence: 0,
    step: 0,
    steps: 0,
    merges: [],
    fingerprints: [],
    exact: true,
    require_exact,
    origin,
    place: [rankOf(priority), now],
    encoding: output ?? { format: "png" },
    output: null,
    error: null,
    webhooks,
    write_id: "",
  };
}
