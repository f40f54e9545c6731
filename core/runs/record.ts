/**
 * The record of a run: small JSON that says what was asked, how far it is and how it ended (docs/design.md, "A run").
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";

export const STATES = ["queued", "running", "paused", "succeeded", "failed", "cancelled", "expired"] as const;
export type RunState = (typeof STATES)[number];
export type TerminalState = Exclude<RunState, "queued" | "running" | "paused">;

const time = z.number().min(0);
const count = z.int().min(0);

const problemSchema = z.object({
  code: z.string(),
  message: z.string(),
  fix: z.string(),
  param: z.string().optional(),
});
export type Problem = z.infer<typeof problemSchema>;

/** As core/image/codec.ts writes them; not imported, so that a front needs no codec. */
export const OUTPUT_FORMATS = ["png", "jpeg", "webp"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** What kind of file a run's pictures become. */
export const encodingSchema = z.strictObject({
  format: z.enum(OUTPUT_FORMATS),
  /** 0 to 100; absent for png, which is lossless. */
  quality: z.int().min(0).max(100).optional(),
}).refine(({ format, quality }) => format !== "png" || quality === undefined);
export type Encoding = z.infer<typeof encodingSchema>;

/** A run's file, a picture or text: `blob` is its name, under the run. */
const outputSchema = z.object({
  blob: z.string(),
  sha256: z.string(),
  media_type: z.string(),
  bytes: count,
  /** 0: text. */
  width: count,
  height: count,
  prompt_tokens: count,
  /** Of the prompt: those that stand for pictures. */
  seen_tokens: count.optional(),
  image_tokens: count,
  /** Of an answer. */
  text_tokens: count.optional(),
  /** It was as long as it might be, and not at its end. */
  truncated: z.boolean().optional(),
});
export type RunOutput = z.infer<typeof outputSchema>;

const originSchema = z.object({
  kind: z.enum(["fork", "redraw"]),
  run: z.string(),
  /** Of a fork: the last step that is shared. Of a redraw: the parent's last. */
  step: count,
  /** Of a redraw: what is masked again. */
  positions: z.array(count).optional(),
});
export type Origin = z.infer<typeof originSchema>;

export const recordSchema = z.object({
  id: z.string(),
  owner: z.string(),
  task: z.string(),
  input: z.record(z.string(), z.json()),
  state: z.enum(STATES),
  /** 0 to 9, higher first. */
  priority: z.int().min(0).max(9),
  /** Unix ms, from the clock of whoever wrote it. */
  created_at: time,
  started_at: time.nullable(),
  finished_at: time.nullable(),
  /** Unix ms after which the run is expired; null: never. */
  deadline: time.nullable(),
  /** Ms from the first claim on after which the run is expired; null: no limit. */
  work_ms: count.nullable().default(null),
  /** The picture shall be whole within this many ms of `created_at`. */
  budget_ms: count.nullable(),
  /** Unix ms after which record, events and blobs are gone; set when the run ends. */
  expires_at: time.nullable(),
  /** Fencing token: raised by every claim. */
  token: count,
  /** Claims that brought no new durable snapshot, since the last that did. */
  attempts: count,
  /** All claims. */
  claims: count,
  /** Sequence number of the last event. */
  sequence: count,
  /** Of the last durable snapshot; `steps` is 0 until the run has begun. */
  step: count,
  steps: count,
  /** Remaining counts as a time budget changed them: with these a replay is exact. */
  merges: z.array(z.object({ step: count, counts: z.array(count) })),
  /** Numerics that took part, in order; more than one: `exact` is false. */
  fingerprints: z.array(z.string()),
  exact: z.boolean(),
  require_exact: z.boolean(),
  origin: originSchema.nullable(),
  /** Where the run stands in the queue: rank and order; null: nowhere. */
  place: z.tuple([count, time]).nullable(),
  /** Of its result and previews. */
  encoding: encodingSchema.default({ format: "png" }),
  output: outputSchema.nullable(),
  /** Why it failed; while it may still succeed, why its last attempt did not. */
  error: problemSchema.nullable(),
  /** Addresses that are told of this run alone; the outbox's matter. */
  webhooks: z.array(z.record(z.string(), z.json())),
  write_id: z.string(),
});

export type RunRecord = Readonly<z.infer<typeof recordSchema>>;

/** @throws {UnmaskError} `run_unreadable` (500) */
export function parseRecord(value: unknown): RunRecord {
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UnmaskError({
    code: "run_unreadable",
    message: "the record of this run is not of this version",
    fix: "run the version that wrote it",
    status: 500,
    cause: parsed.error,
  });
}

export function isTerminal(state: RunState): state is TerminalState {
  return state !== "queued" && state !== "running" && state !== "paused";
}

/** What was asked of a run from outside while it runs. Lives under a key of its own; the worker obeys at the step. */
export interface Control {
  readonly cancel?: boolean;
  readonly pause?: boolean;
}

/** Who works on a run. Its version in the store is what a reclaimer watches; no clock is in it. */
export interface Lease {
  readonly owner: string;
  readonly worker: string;
  readonly token: number;
  readonly beat: number;
  readonly write_id: string;
}

/** A place in the queue. */
export interface Pending {
  readonly owner: string;
  /** Unix ms before which nobody takes it; 0: at once. Back-off only, so clocks that differ do no harm. */
  readonly not_before: number;
}

/** What an event says beside its number. */
export interface EventBody {
  /** `run.` and queued, started, step, budget, paused, resumed, requeued, or a terminal state. */
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface RunEvent extends EventBody {
  readonly sequence: number;
  /** Unix ms. */
  readonly time: number;
}

/** Any failure as what a record keeps: never a library's text, which may name paths. */
export function problemOf(thrown: unknown): Problem {
  if (!(thrown instanceof UnmaskError)) {
    return {
      code: "internal_error",
      message: "the worker failed at this run",
      fix: "look into the worker's log, and report it with what you sent",
    };
  }
  const { code, message, fix, param } = thrown;
  return { code, message, fix, ...(param === undefined ? {} : { param }) };
}
