/**
 * What a server counts, for Prometheus: requests and refusals, runs and their phases, steps, tokens, the time of
 * snapshots, webhook deliveries, and the queue as it stands. Of this process alone, but for the queue.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { keys } from "../../core/runs/keys.ts";
import type { RunEvent, RunRecord } from "../../core/runs/record.ts";
import { listAll, type Store } from "../../core/runs/store/types.ts";

/** Seconds: from a step to a long wait. */
const SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

const ENDS = ["run.succeeded", "run.failed", "run.cancelled", "run.expired"];

export class Metrics {
  readonly #registry = new Registry();
  readonly #with = { registers: [this.#registry] };
  readonly #requests = new Histogram({
    name: "unmask_http_request_seconds",
    help: "Time to the answer's head, by route and status",
    labelNames: ["method", "route", "status"],
    buckets: SECONDS,
    ...this.#with,
  });
  readonly #rejects = new Counter({
    name: "unmask_rejects_total",
    help: "Requests that were refused, by error code",
    labelNames: ["code"],
    ...this.#with,
  });
  readonly #runs = new Counter({
    name: "unmask_runs_total",
    help: "Events of runs: queued, started, requeued, and how they ended",
    labelNames: ["task", "event"],
    ...this.#with,
  });
  readonly #phases = new Histogram({
    name: "unmask_run_phase_seconds",
    help: "Time of ended runs in each phase: queue (to the first claim) and work",
    labelNames: ["task", "phase"],
    buckets: SECONDS,
    ...this.#with,
  });
  readonly #steps = new Counter({
    name: "unmask_steps_total",
    help: "Steps whose snapshot is durable",
    labelNames: ["task"],
    ...this.#with,
  });
  readonly #tokens = new Counter({
    name: "unmask_tokens_total",
    help: "Tokens of runs that succeeded",
    labelNames: ["kind"],
    ...this.#with,
  });
  readonly #snapshots = new Histogram({
    name: "unmask_snapshot_seconds",
    help: "Time of a commit that holds steps",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    ...this.#with,
  });
  readonly #deliveries = new Counter({
    name: "unmask_webhook_attempts_total",
    help: "Attempts to deliver a webhook, by what came of them",
    labelNames: ["outcome"],
    ...this.#with,
  });
  readonly #queue = new Gauge({
    name: "unmask_queue_runs",
    help: "Runs in the store that wait, and that a worker holds",
    labelNames: ["state"],
    ...this.#with,
  });

  request(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status }, seconds);
  }

  reject(code: string): void {
    this.#rejects.inc({ code });
  }

  /** For `Ledger`: a commit of a run has landed. */
  readonly run = (record: RunRecord, events: readonly RunEvent[], milliseconds: number): void => {
    const { task } = record;
    let steps = 0;
    for (const { type } of events) {
      if (type === "run.step") steps++;
      else this.#runs.inc({ task, event: type.replace(/^run\./, "") });
      if (ENDS.includes(type)) this.#ended(record);
    }
    if (steps === 0) return;
    this.#steps.inc({ task }, steps);
    this.#snapshots.observe(milliseconds / 1000);
  };

  #ended({ task, created_at, started_at, finished_at, output }: RunRecord): void {
    const until = started_at ?? finished_at ?? created_at;
    this.#phases.observe({ task, phase: "queue" }, Math.max(0, until - created_at) / 1000);
    if (started_at !== null && finished_at !== null) {
      this.#phases.observe({ task, phase: "work" }, Math.max(0, finished_at - started_at) / 1000);
    }
    if (output === null) return;
    this.#tokens.inc({ kind: "prompt" }, output.prompt_tokens);
    this.#tokens.inc({ kind: "image" }, output.image_tokens);
    this.#tokens.inc({ kind: "text" }, output.text_tokens ?? 0);
  }

  /** For `Dispatcher`. */
  readonly delivery = (outcome: string): void => this.#deliveries.inc({ outcome });

  /** The text that Prometheus reads. @param store counted now; null: not open yet */
  async text(store: Store | null): Promise<{ readonly type: string; readonly body: string }> {
    if (store !== null) {
      for (const [state, prefix] of [["waiting", keys.allPending], ["running", keys.allLeases]] as const) {
        let count = 0;
        for await (const _ of listAll(store, { prefix, limit: 1000 })) count++;
        this.#queue.set({ state }, count);
      }
    }
    return { type: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}
