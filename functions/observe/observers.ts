/**
 * All that watches a server's runs, in one.
 *
 * @module
 */
import type { RunEvent, RunRecord } from "../../core/runs/record.ts";
import { Metrics } from "./metrics.ts";
import { Tracing } from "./tracing.ts";

export interface Observers {
  readonly metrics: Metrics;
  /** For `openHouse`. */
  readonly observe: (record: RunRecord, events: readonly RunEvent[], milliseconds: number) => void;
  readonly onDelivery: (outcome: string) => void;
}

export function observers(): Observers {
  const metrics = new Metrics();
  const tracing = new Tracing();
  return {
    metrics,
    observe(record, events, milliseconds) {
      metrics.run(record, events, milliseconds);
      tracing.run(record, events);
    },
    onDelivery: metrics.delivery,
  };
}
