/**
 * Every write of a run's record that landed, with who made it, as the proxies saw it: what shows a worker that wrote
 * after its lease was gone, however right its bytes were.
 *
 * @module
 */
import { parseRecord, type RunState } from "../../core/runs/record.ts";
import { decode } from "../../core/runs/store/codec.ts";
import type { WireWrite } from "./wire.ts";

export interface RecordWrite {
  /** Of the store; sorts by time. */
  readonly version: string;
  readonly run: string;
  /** The process that wrote. */
  readonly by: string;
  /** Fencing token in the record. */
  readonly token: number;
  /** The commit that claimed the run under this token. */
  readonly claim: boolean;
  readonly state: RunState;
  readonly sequence: number;
  readonly step: number;
}

export class Witness {
  readonly #writes: RecordWrite[] = [];

  saw(by: string, version: string, writes: readonly WireWrite[]): void {
    const leased = writes.some(({ key, value }) => key[0] === "lease" && value !== null);
    for (const { key, value } of writes) {
      if (key[0] !== "run" || value === null) continue;
      const { id, token, state, sequence, step } = parseRecord(decode(value).value);
      const claim = leased && state === "running";
      this.#writes.push({ version, run: id, by, token, claim, state, sequence, step });
    }
  }

  get writes(): number {
    return this.#writes.length;
  }

  /** Writes that came after the fence of their token had fallen. */
  stale(): RecordWrite[] {
    const stale: RecordWrite[] = [];
    const claimers = new Map<string, string>();
    const last = new Map<string, RecordWrite>();
    for (const write of this.#writes.toSorted((a, b) => (a.version < b.version ? -1 : 1))) {
      const fence = `${write.run} ${write.token}`;
      if (write.claim) claimers.set(fence, write.by);
      const before = last.get(write.run);
      if (before !== undefined && isStale(write, before, claimers.get(fence))) stale.push(write);
      else last.set(write.run, write);
    }
    return stale;
  }
}

/** @param claimer of the write's token; undefined where its claim was not seen (its answer was lost with the store) */
function isStale(write: RecordWrite, before: RecordWrite, claimer: string | undefined): boolean {
  if (write.token < before.token || write.sequence <= before.sequence) return true;
  if (write.claim || claimer === undefined || write.by === claimer && before.state === "running") return false;
  // Whoever does not hold the run may settle what waits, or hand on what it found abandoned; it takes no step.
  return write.state === "running" || (before.state === "running" && write.step !== before.step);
}
