/**
 * Whether this server can do what it is asked, followed from its start: the model may be loading, may have failed, or its
 * thread may have died since. A front without an engine is ready as soon as its store is.
 *
 * @module
 */
import type { RemoteInference } from "../../core/tasks/remote.ts";

export type ReadinessStatus = "loading" | "ready" | "failed" | "dead";

export interface ReadinessReport {
  readonly status: ReadinessStatus;
  /** Unix ms. */
  readonly startedAt: number;
  /** Unix ms at which loading ended, well or badly; null: it has not. */
  readonly completedAt: number | null;
}

export class Readiness {
  readonly #startedAt = Date.now();
  #completedAt: number | null = null;
  #status: ReadinessStatus = "loading";
  #inference: RemoteInference | undefined;

  /** @param opening the model, or whatever must be open before requests can be served */
  constructor(opening: Promise<RemoteInference> | Promise<unknown>) {
    opening.then((opened) => {
      this.#status = "ready";
      this.#completedAt = Date.now();
      if (isInference(opened)) this.#inference = opened;
    }, () => {
      this.#status = "failed";
      this.#completedAt = Date.now();
    });
  }

  /** What is loaded; undefined: nothing yet, or no engine is here. */
  get info(): RemoteInference["info"] | undefined {
    return this.#inference?.info;
  }

  report(): ReadinessReport {
    const dead = this.#inference?.death !== undefined;
    return { status: dead ? "dead" : this.#status, startedAt: this.#startedAt, completedAt: this.#completedAt };
  }
}

function isInference(opened: unknown): opened is RemoteInference {
  return typeof opened === "object" && opened !== null && "info" in opened && "draw" in opened;
}
