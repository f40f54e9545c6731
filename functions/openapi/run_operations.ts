/**
 * The native routes.
 *
 * @module
 */
import { z } from "zod";
import { newKeySchema, SCOPES } from "../../core/runs/api_keys.ts";
import { recordSchema, STATES } from "../../core/runs/record.ts";
import { createSchema, forkSchema, redrawSchema } from "../../core/runs/run_request.ts";
import { IDEMPOTENCY, json, type Operation, PREFER } from "./operation.ts";

const time = z.string().nullable();
const { input, priority, step, budget_ms, merges, exact, fingerprints, origin, claims, error, output } =
  recordSchema.shape;

export const runSchema = z.object({
  id: z.string(),
  object: z.literal("run"),
  task: z.string(),
  status: z.enum(STATES),
  input,
  priority,
  step,
  steps: step,
  created_at: z.string(),
  started_at: time,
  finished_at: time,
  expires_at: time,
  deadline: time,
  budget_ms,
  budget_counts: merges,
  exact,
  fingerprints,
  parent: origin,
  claims,
  last_event: step,
  error,
  output,
  urls: z.object({ self: z.string(), events: z.string(), result: z.string().optional() }),
});

export const runListSchema = z.object({
  object: z.literal("list"),
  data: z.array(runSchema),
  cursor: z.string().nullable(),
});
export const estimateSchema = z.object({
  /** Null where no worker has told of its model yet. */
  steps: step.nullable(),
  tokens: step.nullable(),
  /** Null where nothing was measured yet. */
  seconds: z.number().nullable(),
  /** Why something is null. */
  reason: z.string().optional(),
});
export const timelineSchema = z.object({ side: z.number(), step, revealed_at: z.array(step) });
export const deliveriesSchema = z.object({
  object: z.literal("list"),
  data: z.array(z.object({
    id: z.string(),
    type: z.string(),
    endpoint: z.string().nullable(),
    url: z.string().nullable(),
    created_at: z.number(),
    state: z.enum(["pending", "delivered", "failed", "gone", "disabled"]),
    next_attempt_at: z.number().nullable(),
    attempts: z.array(z.object({
      at: z.number(),
      duration_ms: z.number(),
      status: z.number().nullable(),
      error: z.string().nullable(),
    })),
  })),
});
export const replayedSchema = z.object({ replayed: z.literal(true) });
/** On a front without an engine: a worker elsewhere makes it. */
export const previewSchema = z.object({
  object: z.literal("preview"),
  run: z.string(),
  step: z.int(),
  status: z.literal("queued"),
});
export const hookAnswerSchema = z.object({ received: z.literal(true), run: runSchema.nullable() });
export const apiKeySchema = z.object({
  id: z.string(),
  object: z.literal("key"),
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  owner: z.string(),
  rate: z.number().optional(),
  created_at: z.string(),
  /** In the answer that made it alone. */
  key: z.string().optional(),
});
export const keyListSchema = z.object({ object: z.literal("list"), data: z.array(apiKeySchema) });
export const keyDeletedSchema = z.object({ id: z.string(), object: z.literal("key"), deleted: z.literal(true) });

const RUN = { 200: [json(runSchema)], 202: [json(runSchema)] } as const;
const headers = { ...PREFER, ...IDEMPOTENCY };
const picture = [{ type: "image/*" }] as const;

const runs = { tag: "runs" } as const;
const server = { tag: "server" } as const;

export const RUN_OPERATIONS: readonly Operation[] = [
  {
    ...runs,
    method: "post",
    path: "/v1/runs",
    summary: "Start a run",
    headers,
    body: json(createSchema),
    answers: RUN,
  },
  {
    ...runs,
    method: "get",
    path: "/v1/runs",
    summary: "Runs of this key, newest first",
    query: { limit: z.int().min(1).max(100), cursor: z.string() },
    answers: { 200: [json(runListSchema)] },
  },
  {
    ...runs,
    method: "post",
    path: "/v1/runs/estimate",
    summary: "What a run would cost",
    body: json(createSchema),
    answers: { 200: [json(estimateSchema)] },
  },
  { ...runs, method: "get", path: "/v1/runs/{id}", summary: "A run", answers: { 200: [json(runSchema)] } },
  {
    ...runs,
    method: "get",
    path: "/v1/runs/{id}/events",
    summary: "Its events as they come",
    query: { after: z.int().min(0) },
    headers: { "last-event-id": z.string() },
    answers: { 200: [{ type: "text/event-stream" }] },
  },
  ...(["cancel", "pause", "resume", "retry"] as const).map((action): Operation => ({
    ...runs,
    method: "post",
    path: `/v1/runs/{id}/${action}`,
    summary: `${action.charAt(0).toUpperCase()}${action.slice(1)} it; the step in flight is the last`,
    answers: RUN,
  })),
  {
    ...runs,
    method: "post",
    path: "/v1/runs/{id}/fork",
    summary: "A run from one of its steps, with another input",
    headers,
    body: json(forkSchema),
    answers: RUN,
  },
  {
    ...runs,
    method: "post",
    path: "/v1/runs/{id}/redraw",
    summary: "A run that redraws a region",
    headers,
    body: json(redrawSchema),
    answers: RUN,
  },
  {
    ...runs,
    method: "get",
    path: "/v1/runs/{id}/result",
    summary: "The result's file",
    answers: { 200: [...picture, { type: "text/plain" }, json(z.json())] },
  },
  {
    ...runs,
    method: "get",
    path: "/v1/runs/{id}/timeline",
    summary: "When each token was fixed",
    answers: { 200: [json(timelineSchema)] },
  },
  {
    ...runs,
    method: "get",
    path: "/v1/runs/{id}/steps/{step}/image",
    summary: "The picture at a step",
    answers: { 200: picture, 202: [json(previewSchema)] },
  },
  {
    ...runs,
    method: "get",
    path: "/v1/runs/{id}/webhooks",
    summary: "Its delivery log",
    answers: { 200: [json(deliveriesSchema)] },
  },
  {
    ...runs,
    method: "post",
    path: "/v1/runs/{id}/webhooks/{message}/replay",
    summary: "Send a webhook again",
    answers: { 202: [json(replayedSchema)] },
  },
  {
    ...runs,
    method: "post",
    path: "/v1/hooks/{name}",
    summary: "A signed webhook that starts a run",
    open: true,
    body: json(z.json()),
    answers: { 200: [json(hookAnswerSchema)], 202: [json(hookAnswerSchema)] },
  },
  {
    ...runs,
    method: "get",
    path: "/v1/files/{token}",
    summary: "A result by its signed link",
    open: true,
    answers: { 200: [...picture, { type: "text/plain" }, json(z.json())] },
  },
  {
    ...runs,
    method: "get",
    path: "/v1/files/{token}/stream",
    summary: "A run's progress by its signed link",
    open: true,
    answers: { 200: [{ type: "text/event-stream" }] },
  },
  {
    ...server,
    method: "post",
    path: "/v1/keys",
    summary: "Make an API key",
    body: json(newKeySchema),
    answers: { 201: [json(apiKeySchema)] },
  },
  { ...server, method: "get", path: "/v1/keys", summary: "API keys", answers: { 200: [json(keyListSchema)] } },
  {
    ...server,
    method: "delete",
    path: "/v1/keys/{id}",
    summary: "Remove an API key",
    answers: { 200: [json(keyDeletedSchema)] },
  },
];
