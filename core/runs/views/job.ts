/**
 * A run as RunPod's serverless endpoints show it (field-notes A4).
 *
 * @module
 */
import { z } from "zod";
import type { RunRecord, RunState } from "../record.ts";
import { errorLine, type Json } from "./output.ts";

export const JOB_STATES = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"] as const;
export type JobState = (typeof JOB_STATES)[number];

const STATES: Readonly<Record<RunState, JobState>> = {
  queued: "IN_QUEUE",
  running: "IN_PROGRESS",
  paused: "IN_PROGRESS",
  succeeded: "COMPLETED",
  failed: "FAILED",
  cancelled: "CANCELLED",
  expired: "TIMED_OUT",
};

export const jobSchema = z.object({
  id: z.string(),
  status: z.enum(JOB_STATES),
  /** Ms in the queue. */
  delayTime: z.number().optional(),
  /** Ms at work. */
  executionTime: z.number().optional(),
  output: z.json().optional(),
  error: z.string().optional(),
});
export type Job = z.infer<typeof jobSchema>;

export function jobOf(record: RunRecord, output: Json): Job {
  const { id, state, created_at, started_at, finished_at } = record;
  const error = errorLine(record);
  return {
    id,
    status: STATES[state],
    ...(started_at === null ? {} : { delayTime: Math.max(0, started_at - created_at) }),
    ...(started_at === null || finished_at === null ? {} : { executionTime: Math.max(0, finished_at - started_at) }),
    ...(output === null ? {} : { output }),
    ...(error === null ? {} : { error }),
  };
}
