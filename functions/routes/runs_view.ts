/**
 * A run as callers see it: without its owner, its fence and its place.
 *
 * @module
 */
import type { RunRecord } from "../../core/runs/record.ts";

export type RunView = Readonly<Record<string, unknown>> & { readonly id: string; readonly status: string };

export function viewOf(record: RunRecord): RunView {
  const { id, task, state, input, priority, step, steps, origin, error, exact, fingerprints, output } = record;
  const at = (time: number | null) => (time === null ? null : new Date(time).toISOString());
  const link = `/v1/runs/${id}`;
  return {
    id,
    object: "run",
    task,
    status: state,
    input,
    priority,
    step,
    steps,
    created_at: at(record.created_at),
    started_at: at(record.started_at),
    finished_at: at(record.finished_at),
    expires_at: at(record.expires_at),
    deadline: at(record.deadline),
    budget_ms: record.budget_ms,
    budget_counts: record.merges,
    exact,
    fingerprints,
    parent: origin,
    claims: record.claims,
    last_event: record.sequence,
    error,
    output,
    urls: { self: link, events: `${link}/events`, ...(output === null ? {} : { result: `${link}/result` }) },
  };
}
