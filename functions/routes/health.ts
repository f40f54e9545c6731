/**
 * `GET /health`: is the process alive, can it draw, and with what really. 503 until the model is loaded, so that a load
 * balancer waits; `live` tells loading from dead.
 *
 * @module
 */
import type { RemoteInference } from "../../core/tasks/remote.ts";
import type { Readiness, ReadinessStatus } from "./readiness.ts";

type InferenceInfo = RemoteInference["info"];

export interface Health {
  readonly status: ReadinessStatus;
  /** False when the inference thread has died: only a new process helps. */
  readonly live: boolean;
  readonly ready: boolean;
  readonly model: string | null;
  readonly provider: InferenceInfo["provider"] | null;
  readonly runtime: string | null;
  readonly device: string | null;
  /** True for a software GPU adapter (llvmpipe, SwiftShader), null while loading. */
  readonly software: boolean | null;
  readonly threads: number | null;
  /** Graphs in memory and the bytes of their weights; more are loaded when they are first needed. */
  readonly loaded: InferenceInfo["loaded"];
  /** Bytes of all of them. */
  readonly weight_bytes: number;
}

export function healthOf(readiness: Readiness): Health {
  const { status } = readiness.report();
  const info = readiness.info;
  return {
    status,
    live: status !== "dead",
    ready: status === "ready",
    model: info?.model ?? null,
    provider: info?.provider ?? null,
    runtime: info?.runtime ?? null,
    device: info?.device ?? null,
    software: info?.software ?? null,
    threads: info?.threads ?? null,
    loaded: info?.loaded ?? [],
    weight_bytes: info?.loaded.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0,
  };
}
