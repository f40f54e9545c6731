/**
 * What a server says of itself.
 *
 * @module
 */
import { z } from "zod";
import { json, type Operation } from "./operation.ts";

export const healthSchema = z.object({
  status: z.enum(["loading", "ready", "failed", "dead"]),
  live: z.boolean(),
  ready: z.boolean(),
  model: z.string().nullable(),
  provider: z.enum(["webgpu", "cpu", "wasm"]).nullable(),
  runtime: z.string().nullable(),
  device: z.string().nullable(),
  software: z.boolean().nullable(),
  threads: z.int().nullable(),
  loaded: z.array(z.object({ graph: z.string(), bytes: z.int() }).loose()),
  weight_bytes: z.int(),
});

const server = { tag: "server", method: "get", open: true } as const;

export const SERVER_OPERATIONS: readonly Operation[] = [
  {
    ...server,
    path: "/health",
    summary: "Is it alive, can it draw, and with what",
    answers: { 200: [json(healthSchema)], 503: [json(healthSchema)] },
  },
  {
    tag: "server",
    method: "get",
    path: "/metrics",
    summary: "Numbers for Prometheus",
    answers: { 200: [{ type: "text/plain" }] },
  },
  { ...server, path: "/openapi.json", summary: "This document", answers: { 200: [json(z.json())] } },
  { ...server, path: "/docs", summary: "This document as a page", answers: { 200: [{ type: "text/html" }] } },
];
