/**
 * `GET /health`: is the process alive, can it draw, and with what really. 503 until the model is loaded, so that a load
 * balancer waits; `live` tells loading from dead.
 *
 * @module
 */
import type { RemoteInference } from "../../core/tasks/remote.ts";

type InferenceInfo = RemoteInference["info"];

export interface Health {
  readonly status: "loading" | "ready" | "failed";
  readonly live: true;
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

/** Follows an inference that is still being opened. */
export class HealthWatch {
  #inference: RemoteInference | undefined;
  #failed = false;

  constructor(inference: Promise<RemoteInference>) {
    inference.then((opened) => this.#inference = opened, () => this.#failed = true);
  }

  health(): Health {
    const info = this.#inference?.info;
    return {
      status: info !== undefined ? "ready" : this.#failed ? "failed" : "loading",
      live: true,
      ready: info !== undefined,
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
}
