/**
 * The course of it: runs at a pace with one fault after another, a burst that fills the queue with one more, quiet, and
 * then the oracle.
 *
 * @module
 */
import { keys } from "../../core/runs/keys.ts";
import type { RunEvent } from "../../core/runs/record.ts";
import type { Store } from "../../core/runs/store/types.ts";
import type { StepEngine } from "../../core/runs/step_engine.ts";
import { webhookKeys } from "../../core/runs/webhooks/message.ts";
import type { DenokvServer } from "../lib/denokv.ts";
import { Callers } from "./callers.ts";
import { Client } from "./client.ts";
import { Faults } from "./faults.ts";
import type { Front } from "./front.ts";
import { LagMeter } from "./lag.ts";
import { judgeEnds } from "./judge_ends.ts";
import { judgeEstimates } from "./judge_estimates.ts";
import { judgeWebhooks } from "./judge_webhooks.ts";
import { eventsOf, judgeRuns, judgeStore, judgeWrites, recordsOf, Violations } from "./oracle.ts";
import type { Plan } from "./plan.ts";
import type { Receiver } from "./receivers.ts";
import { References } from "./reference.ts";
import { judgeTakeovers } from "./takeover.ts";
import type { WorkerPlace } from "./workers.ts";
import type { Witness } from "./witness.ts";

export interface ChaosParts {
  readonly plan: Plan;
  readonly places: readonly WorkerPlace[];
  readonly receivers: readonly Receiver[];
  readonly denokv: DenokvServer;
  readonly store: Store;
  readonly front: Front;
  readonly witness: Witness;
  /** Draws what the workers drew, undisturbed. */
  readonly engine: StepEngine;
  /** Ms. */
  readonly lease: number;
  readonly tell: (line: string) => void;
}

export type ChaosReport = Readonly<Record<string, unknown>> & { readonly violations: number };

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Runs in hand at once while workers shall be idle: less than the others hold when one is lost. */
const PACE = 6;
/** Ms in which everything must have settled once nothing is disturbed any more. */
const PATIENCE = 180_000;

export async function runChaos(parts: ChaosParts): Promise<ChaosReport> {
  const { plan, places, receivers, denokv, store, front, witness, engine, lease, tell } = parts;
  const began = performance.now();
  const seconds = () => Number(((performance.now() - began) / 1000).toFixed(1));
  const violations = new Violations();
  const lag = new LagMeter(() => places.flatMap(({ pid }) => pid ?? []));
  const faults = new Faults({
    places,
    front: front.proxy,
    receivers,
    denokv,
    store,
    lease,
    random: plan.random,
    violations,
    tell: (line) => tell(`${seconds()} s  ${line}`),
  });
  const client = new Client(front.url);
  const callers = new Callers(client, front.runs);
  await Promise.all(places.map(async (place) => {
    await place.start();
    await place.ready;
  }));
  tell(`${seconds()} s  ${places.length} workers work`);

  let disturbing = true;
  const faulting = Promise.all([
    faults.processes(plan.faults).finally(() => disturbing = false),
    faults.beside(plan.side, () => !disturbing),
  ]);
  faulting.catch(() => {}); // awaited below
  const queue = [...plan.runs];
  while (queue.length > 0 || disturbing) {
    // With nothing left to be idle for, all slots may be full.
    if (callers.open < (disturbing ? PACE : 2 * PACE)) await callers.begin(queue.shift() ?? plan.more());
    else await pause(100);
    await callers.look();
  }
  await faulting;
  tell(`${seconds()} s  a burst of ${plan.burst.length} runs`);
  await Promise.all(plan.burst.map((run) => callers.begin(run)));
  await queueFull(store, violations);
  await faults.process("kill_during_snapshot", false);
  if (!await callers.end(PATIENCE)) violations.add("not_settled", `${callers.open} runs after ${PATIENCE} ms`);
  await outboxEmpty(store, violations);
  for (const place of places) await place.end(violations);
  tell(`${seconds()} s  everything has settled; looking at it`);

  for (const surprise of callers.surprises) violations.add("caller_failed", surprise);
  for (const { plan: { behaviour }, met } of callers.promised) {
    if (!met) continue;
    if (behaviour.startsWith("request_left")) faults.count("request_left");
    else if (behaviour === "stream_left" || behaviour === "cancel_at_finish") faults.count(behaviour);
  }
  const records = await recordsOf(store);
  const events = new Map<string, RunEvent[]>();
  for (const record of records.values()) events.set(record.id, await eventsOf(store, record));
  await judgeRuns(store, records, callers.promised, new References(engine, store, records), violations);
  const estimates = await judgeEstimates(client, callers.promised, records, events, violations);
  judgeWrites(witness, violations);
  const excused = judgeEnds(places.flatMap(({ unasked }) => unasked), faults.outages, violations);
  const deliveries = judgeWebhooks(receivers, records, violations);
  const takeovers = judgeTakeovers(faults.losses, records, events, lease, places.length, lag, violations);
  lag.stop();
  const blobs = await judgeStore(store, violations);

  const states = tally([...records.values()].map(({ state }) => state));
  const tasks = tally([...records.values()].map(({ task }) => task));
  const disturbed = tally(faults.losses.flatMap(({ runs }) => runs.flatMap(({ id }) => records.get(id)?.task ?? [])));
  // Few faults may miss a task; many that miss one do not draw from all.
  for (const task of plan.short ? [] : plan.tasks) {
    if (disturbed[task] === undefined) violations.add("task_undisturbed", task);
  }
  tell(`runs: ${records.size} (${listed(states)}); of tasks: ${listed(tasks)}; a lost worker's: ${listed(disturbed)}`);
  tell(
    `takeovers with an idle worker: ${takeovers.count}, median ${takeovers.median} ms, most ${takeovers.most} ms (lease ${lease} ms)`,
  );
  const priced = Object.entries(estimates).map(([task, { steps, seconds }]) =>
    `${task} of ${steps} steps ${seconds} s`
  );
  tell(`the front's estimates: ${priced.join(", ")}`);
  for (const line of excused) tell(`started again: ${line}`);
  for (const line of takeovers.notJudged) tell(`NOT JUDGED, the machine itself was late: takeover of ${line}`);
  tell(`reclaimed into a full queue: ${takeovers.queued}, overtaken by at most ${takeovers.overtaken}`);
  tell(`webhooks: ${deliveries.attempts} attempts, ${deliveries.again} of them again`);
  tell(`record writes witnessed: ${witness.writes}; blobs in parts: ${blobs.parts}, swept: ${blobs.swept}`);
  for (const line of violations.lines) tell(`VIOLATED ${line}`);
  return {
    seconds: seconds(),
    runs: records.size,
    states,
    tasks,
    disturbed,
    started_again: excused.length,
    takeovers,
    deliveries,
    writes: witness.writes,
    blobs,
    faults: Object.fromEntries(faults.counts),
    violated: violations.byName,
    not_judged: takeovers.notJudged.length,
    violations: violations.count,
  };
}

/** How many there are of each, by name. */
function tally(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** @returns `3 draw, 1 edit` */
function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", ");
}

/** Until more runs wait than a lost worker held. */
async function queueFull(store: Store, violations: Violations): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const { entries } = await store.list({ prefix: keys.allPending, limit: 10 });
    if (entries.length >= 6) return;
    await pause(20);
  }
  violations.add("no_burst", "the queue was never full");
}

/** Until every message was sent; a receiver that is well takes it. */
async function outboxEmpty(store: Store, violations: Violations): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end;) {
    const { entries } = await store.list({ prefix: webhookKeys.allDue, limit: 1 });
    if (entries.length === 0) return;
    await pause(250);
  }
  violations.add("outbox_full", "messages are still due after a minute");
}
