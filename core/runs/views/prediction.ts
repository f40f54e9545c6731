/**
 * A run as Cog's containers and Replicate's cloud show it (field-notes A2).
 *
 * @module
 */
import { z } from "zod";
import type { RunRecord } from "../record.ts";
import { errorLine, isoTime, type Json, progressLine } from "./output.ts";

export const COG_STATES = ["starting", "processing", "succeeded", "failed", "canceled"] as const;
export const REPLICATE_STATES = [...COG_STATES, "aborted"] as const;

const common = {
  id: z.string(),
  input: z.record(z.string(), z.json()),
  output: z.json(),
  error: z.string().nullable(),
  logs: z.string(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
};

export const cogPredictionSchema = z.object({
  ...common,
  status: z.enum(COG_STATES),
  /** Seconds; empty until it has ended. */
  metrics: z.object({ predict_time: z.number().optional() }),
});
export type CogPrediction = z.infer<typeof cogPredictionSchema>;

export const replicatePredictionSchema = z.object({
  ...common,
  model: z.string(),
  version: z.string(),
  status: z.enum(REPLICATE_STATES),
  metrics: z.object({ predict_time: z.number().optional(), total_time: z.number().optional() }),
  urls: z.object({ get: z.string(), cancel: z.string(), stream: z.string().optional() }),
  source: z.literal("api"),
  data_removed: z.literal(false),
});
export type ReplicatePrediction = z.infer<typeof replicatePredictionSchema>;

/** @param id the client's own, where it named one */
export function cogPrediction(record: RunRecord, output: Json, id: string = record.id): CogPrediction {
  const { predict_time } = times(record);
  return {
    ...shared(record, output),
    id,
    status: cogState(record),
    metrics: predict_time === null ? {} : { predict_time },
  };
}

export interface ReplicateParts {
  /** `owner/name` and the version's id. */
  readonly model: string;
  readonly version: string;
  /** Where Replicate's shape is mounted, such as `https://unmask.example/replicate/v1`. */
  readonly base: string;
  /** Address of the run's stream; needs no key. */
  readonly stream?: string;
}

export function replicatePrediction(record: RunRecord, output: Json, parts: ReplicateParts): ReplicatePrediction {
  const { model, version, base, stream } = parts;
  const { predict_time, total_time } = times(record);
  const self = `${base}/predictions/${record.id}`;
  // Aborted: the deadline passed before anything began.
  const aborted = record.state === "expired" && record.started_at === null;
  return {
    ...shared(record, output),
    model,
    version,
    status: aborted ? "aborted" : cogState(record),
    metrics: {
      ...(predict_time === null ? {} : { predict_time }),
      ...(total_time === null ? {} : { total_time }),
    },
    urls: { get: self, cancel: `${self}/cancel`, ...(stream === undefined ? {} : { stream }) },
    source: "api",
    data_removed: false,
  };
}

function shared(record: RunRecord, output: Json) {
  return {
    id: record.id,
    input: { task: record.task, ...record.input },
    output,
    error: errorLine(record),
    logs: progressLine(record),
    created_at: new Date(record.created_at).toISOString(),
    started_at: isoTime(record.started_at),
    completed_at: isoTime(record.finished_at),
  };
}

function cogState({ state }: RunRecord): CogPrediction["status"] {
  switch (state) {
    case "queued":
      return "starting";
    case "running":
    case "paused":
      return "processing";
    case "cancelled":
    case "expired":
      return "canceled";
    default:
      return state;
  }
}

/** Seconds at work and in all, of a run that has ended. */
function times({ created_at, started_at, finished_at }: RunRecord) {
  const between = (from: number | null) =>
    from === null || finished_at === null ? null : Math.max(0, finished_at - from) / 1000;
  return { predict_time: between(started_at), total_time: between(created_at) };
}
