/**
 * How long runs of a lost worker waited for another, and whether they went before those that had not begun.
 *
 * @module
 */
import type { RunEvent, RunRecord } from "../../core/runs/record.ts";
import type { Loss } from "./faults.ts";
import type { LagMeter } from "./lag.ts";
import type { Violations } from "./oracle.ts";

export interface Takeovers {
  /** Runs that were taken over while a worker was idle. */
  readonly count: number;
  /** Ms from the loss to the next claim. */
  readonly median: number | null;
  readonly most: number | null;
  /** Reclaimed runs that met a full queue, and runs that were begun while one of them waited, at the worst. */
  readonly queued: number;
  readonly overtaken: number;
  /** Takeovers later than the bound by no more than the machine itself was late meanwhile: they prove nothing. */
  readonly notJudged: readonly string[];
}

/**
 * @param events of every run
 * @param lease ms
 * @param lag what the machine itself was late
 * @param workers how many claims may be under way when a run is put in front
 */
export function judgeTakeovers(
  losses: readonly Loss[],
  records: ReadonlyMap<string, RunRecord>,
  events: ReadonlyMap<string, readonly RunEvent[]>,
  lease: number,
  workers: number,
  lag: Pick<LagMeter, "between">,
  violations: Violations,
): Takeovers {
  const waited: number[] = [];
  const begun = [...events.values()].flatMap((list) =>
    list.filter(({ type, data }) => type === "run.started" && data.claim === 1).map(({ time }) => time)
  );
  let [queued, overtaken] = [0, 0];
  const notJudged: string[] = [];
  for (const { fault, at, runs, idle } of losses) {
    for (const { id, token } of runs) {
      const list = events.get(id) ?? [];
      const after = list.filter(({ time }) => time >= at);
      const next = after.find(({ type, data }) => type === "run.started" && Number(data.claim) > token);
      if (next === undefined) continue; // its last write had ended it
      const requeued = after.find(({ type, data }) => type === "run.requeued" && data.reason === "worker_lost");
      // After two claims in a row that saved nothing, a run backs off by design.
      if (idle && Number(requeued?.data.wait_ms ?? 0) === 0) {
        waited.push(next.time - at);
        const over = next.time - at - (lease + 1000);
        const late = lag.between(at, next.time);
        const what = `${id} ${next.time - at} ms, of them ${late} the machine's, ${fault}`;
        if (over > late) violations.add("takeover_late", what);
        else if (over > 0) notJudged.push(what);
      }
      if (idle || requeued === undefined) continue;
      queued++;
      const before = begun.filter((time) => time > requeued.time && time < next.time).length;
      overtaken = Math.max(overtaken, before);
      if (before > workers) violations.add("reclaimed_not_first", `${records.get(id)?.id} waited for ${before} others`);
    }
  }
  const sorted = waited.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    median: sorted[Math.floor(sorted.length / 2)] ?? null,
    most: sorted.at(-1) ?? null,
    queued,
    overtaken,
    notJudged,
  };
}
