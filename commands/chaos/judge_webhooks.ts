/**
 * Deliveries against what the store says happened: at least once, the same id and body, a valid signature each time, and
 * nothing of which the store knows nothing.
 *
 * @module
 */
import type { RunRecord } from "../../core/runs/record.ts";
import type { Violations } from "./oracle.ts";
import type { Receiver } from "./receivers.ts";

/** @returns attempts, and how many of them had to be made again */
export function judgeWebhooks(
  receivers: readonly Receiver[],
  records: ReadonlyMap<string, RunRecord>,
  violations: Violations,
): { attempts: number; again: number } {
  let [attempts, again] = [0, 0];
  for (const { name, deliveries } of receivers) {
    // Of every run's events these endpoints want one: its end, which is its last.
    const due = new Map([...records.values()].map((record) => [`msg_${record.id}_${record.sequence}_${name}`, record]));
    const bodies = new Map<string, string>();
    const taken = new Set<string>();
    for (const { id, body, wrong, taken: took } of deliveries) {
      attempts++;
      if (bodies.has(id)) again++;
      if (wrong !== null) violations.add("webhook_signature", `${id}: ${wrong}`);
      if ((bodies.get(id) ?? body) !== body) violations.add("webhook_body", id);
      bodies.set(id, body);
      if (took) taken.add(id);
      const record = due.get(id);
      const told = (JSON.parse(body) as { readonly data?: { readonly id?: string; readonly state?: string } }).data;
      if (record === undefined) violations.add("webhook_of_nothing", id);
      else if (told?.id !== record.id || told.state !== record.state) violations.add("webhook_body", `${id}: ${body}`);
    }
    for (const id of due.keys()) if (!taken.has(id)) violations.add("webhook_missing", id);
  }
  return { attempts, again };
}
