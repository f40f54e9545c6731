/**
 * Routes in the shapes of Cog, Replicate and RunPod.
 *
 * @module
 */
import { z } from "zod";
import { JOB_STATES, jobSchema } from "../../core/runs/views/job.ts";
import { cogPredictionSchema, replicatePredictionSchema } from "../../core/runs/views/prediction.ts";
import { cogDiscoverySchema, cogHealthSchema, cogRequestSchema } from "../routes/cog.ts";
import { replicateRequestSchema } from "../routes/replicate.ts";
import { BASE } from "../routes/replicate_base.ts";
import { fileForm, replicateFileSchema } from "../routes/replicate_files.ts";
import { runpodRequestSchema } from "../routes/runpod.ts";
import { drawInput } from "../../core/tasks/draw_input.ts";
import { json, type Operation, PREFER } from "./operation.ts";

/** Cog's `Input`: what a prediction takes. Other tasks have fields of their own. */
export const inputComponent = drawInput.partial({ seed: true, prompt: true }).extend({
  task: z.string().default("draw").describe("What to do; the fields beside it are the task's own"),
}).catchall(z.json());
/** Cog's `Output`: a picture as a data URL, text, or data. */
export const outputComponent = z.union([z.string(), z.record(z.string(), z.json()), z.array(z.json())]);

const withInput = { input: inputComponent };
export const cogBody = cogRequestSchema.extend(withInput);
export const replicateBody = replicateRequestSchema.extend(withInput);
export const runpodBody = runpodRequestSchema.extend(withInput);

export const predictionListSchema = z.object({
  next: z.string().nullable(),
  previous: z.null(),
  results: z.array(replicatePredictionSchema),
});
export const replicateFileBody = fileForm;
export { replicateFileSchema };
export const fileListSchema = z.object({
  next: z.null(),
  previous: z.null(),
  results: z.array(replicateFileSchema),
});
export const replicateModelSchema = z.object({
  url: z.string(),
  owner: z.string(),
  name: z.string(),
  description: z.string(),
  visibility: z.string(),
  run_count: z.int(),
  latest_version: z.object({ id: z.string(), created_at: z.string() }).loose(),
}).loose();
export const webhookSecretSchema = z.object({ key: z.string() });
export const accountSchema = z.object({ type: z.string(), username: z.string(), name: z.null() });

export const chunksSchema = z.object({
  status: z.enum(JOB_STATES),
  stream: z.array(z.object({ output: z.json() })),
});
export const purgedSchema = z.object({ removed: z.int(), status: z.literal("completed") });
const count = z.int().min(0);
export const endpointHealthSchema = z.object({
  jobs: z.object({ completed: count, failed: count, inProgress: count, inQueue: count, retried: count }),
  workers: z.object({ idle: count, running: count }),
});
export const emptySchema = z.strictObject({});

const cog = { tag: "cog" } as const;
const replicate = { tag: "replicate" } as const;
const runpod = { tag: "runpod" } as const;

const cogAnswers = {
  200: [json(cogPredictionSchema), { type: "text/event-stream" }],
  202: [json(cogPredictionSchema)],
} as const;
const one = { 200: [json(replicatePredictionSchema)] } as const;
const created = { 201: [json(replicatePredictionSchema)], 202: [json(replicatePredictionSchema)] } as const;
const job = { 200: [json(jobSchema)] } as const;
const cancelAfter = { "cancel-after": z.string().describe("Seconds, or as 1m30s") };
const wait = { wait: z.int().min(1000).max(300_000) };

export const JOB_OPERATIONS: readonly Operation[] = [
  {
    ...cog,
    method: "post",
    path: "/predictions",
    summary: "Predict",
    headers: PREFER,
    body: json(cogBody),
    answers: cogAnswers,
  },
  {
    ...cog,
    method: "put",
    path: "/predictions/{id}",
    summary: "Predict once under this id, or attach",
    headers: PREFER,
    body: json(cogBody),
    answers: cogAnswers,
  },
  {
    ...cog,
    method: "post",
    path: "/predictions/{id}/cancel",
    summary: "Cancel it",
    answers: { 200: [json(emptySchema)] },
  },
  {
    ...cog,
    method: "get",
    path: "/",
    summary: "Where the container's parts are; the page, for who asks for HTML",
    open: true,
    answers: { 200: [json(cogDiscoverySchema), { type: "text/html" }] },
  },
  {
    ...cog,
    method: "get",
    path: "/health-check",
    summary: "How the container is",
    open: true,
    answers: { 200: [json(cogHealthSchema)] },
  },
  {
    ...replicate,
    method: "post",
    path: `${BASE}/predictions`,
    summary: "Create a prediction",
    headers: { ...PREFER, ...cancelAfter },
    body: json(replicateBody),
    answers: created,
  },
  {
    ...replicate,
    method: "post",
    path: `${BASE}/models/{owner}/{name}/predictions`,
    summary: "Create a prediction of a model",
    headers: { ...PREFER, ...cancelAfter },
    body: json(replicateBody),
    answers: created,
  },
  {
    ...replicate,
    method: "get",
    path: `${BASE}/predictions`,
    summary: "Predictions, newest first",
    query: { cursor: z.string() },
    answers: { 200: [json(predictionListSchema)] },
  },
  { ...replicate, method: "get", path: `${BASE}/predictions/{id}`, summary: "A prediction", answers: one },
  { ...replicate, method: "post", path: `${BASE}/predictions/{id}/cancel`, summary: "Cancel it", answers: one },
  {
    ...replicate,
    method: "get",
    path: `${BASE}/models/{owner}/{name}`,
    summary: "The model",
    answers: { 200: [json(replicateModelSchema)] },
  },
  {
    ...replicate,
    method: "post",
    path: `${BASE}/files`,
    summary: "Send a picture for a later input",
    body: { type: "multipart/form-data", schema: replicateFileBody },
    answers: { 201: [json(replicateFileSchema)] },
  },
  {
    ...replicate,
    method: "get",
    path: `${BASE}/files`,
    summary: "Files that are kept, newest first",
    answers: { 200: [json(fileListSchema)] },
  },
  {
    ...replicate,
    method: "get",
    path: `${BASE}/files/{id}`,
    summary: "A file",
    answers: { 200: [json(replicateFileSchema)] },
  },
  {
    ...replicate,
    method: "delete",
    path: `${BASE}/files/{id}`,
    summary: "Forget a file",
    answers: { 204: [] },
  },
  {
    ...replicate,
    method: "get",
    path: `${BASE}/webhooks/default/secret`,
    summary: "What this key's webhooks are signed with",
    answers: { 200: [json(webhookSecretSchema)] },
  },
  {
    ...replicate,
    method: "get",
    path: `${BASE}/account`,
    summary: "Whose the key is",
    answers: { 200: [json(accountSchema)] },
  },
  {
    ...runpod,
    method: "post",
    path: "/v2/{endpoint}/run",
    summary: "Queue a job",
    body: json(runpodBody),
    answers: job,
  },
  {
    ...runpod,
    method: "post",
    path: "/v2/{endpoint}/runsync",
    summary: "Queue a job and wait",
    query: wait,
    body: json(runpodBody),
    answers: job,
  },
  { ...runpod, method: "get", path: "/v2/{endpoint}/status/{id}", summary: "A job", answers: job },
  {
    ...runpod,
    method: "get",
    path: "/v2/{endpoint}/status-sync/{id}",
    summary: "A job, once it has ended",
    query: wait,
    answers: job,
  },
  {
    ...runpod,
    method: "get",
    path: "/v2/{endpoint}/stream/{id}",
    summary: "What came since the last call",
    answers: { 200: [json(chunksSchema)] },
  },
  {
    ...runpod,
    method: "post",
    path: "/v2/{endpoint}/retry/{id}",
    summary: "A job that failed or came too late, again",
    answers: job,
  },
  { ...runpod, method: "post", path: "/v2/{endpoint}/cancel/{id}", summary: "Cancel a job", answers: job },
  {
    ...runpod,
    method: "post",
    path: "/v2/{endpoint}/purge-queue",
    summary: "Cancel all that waits",
    answers: { 200: [json(purgedSchema)] },
  },
  {
    ...runpod,
    method: "get",
    path: "/v2/{endpoint}/health",
    summary: "Jobs and workers",
    answers: { 200: [json(endpointHealthSchema)] },
  },
];
