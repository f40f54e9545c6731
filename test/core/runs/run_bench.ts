/** A store, the service over it and workers on the table model: what the tests of runs begin with. */
import { expect } from "vitest";
import { Ledger, type LedgerOptions } from "../../../core/runs/ledger.ts";
import { eventsAfter } from "../../../core/runs/follow.ts";
import { keys } from "../../../core/runs/keys.ts";
import type { RunEvent, RunRecord, RunState } from "../../../core/runs/record.ts";
import { Runs } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import { orphanedParts } from "../../../core/runs/store/sweep.ts";
import type { Store } from "../../../core/runs/store/types.ts";
import { Worker, type WorkerOptions } from "../../../core/runs/worker.ts";
import { plainFile, tableEngine, undisturbed } from "./table_engine.ts";

export const OWNER = "somebody";
export const INPUT = { prompt: "a dog", seed: 3, steps: 12 };
/** Milliseconds. */
export const LEASE = 400;

export const inState = (state: RunState) => (record: RunRecord) => record.state === state;

export class Bench {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly runs: Runs;
  readonly workers: Worker[] = [];

  /** @param wrap puts faults before the store */
  constructor(memory: Store, wrap: (store: Store) => Store = (store) => store, options: LedgerOptions = {}) {
    this.store = memory;
    this.ledger = new Ledger(wrap(memory), options);
    this.runs = new Runs({
      ledger: this.ledger,
      kinds: [drawKind],
      // As in one process: whoever holds the run is told at once.
      onControl: (id, control) => {
        for (const worker of this.workers) worker.obey(id, control);
      },
    });
  }

  static async open(wrap?: (store: Store) => Store, options?: LedgerOptions): Promise<Bench> {
    return new Bench(await openMemory(), wrap, options);
  }

  worker(options: Partial<WorkerOptions> = {}): Worker {
    const worker = new Worker({
      ledger: this.ledger,
      engine: tableEngine({ stepMilliseconds: 10 }),
      kinds: [drawKind],
      encode: plainFile,
      lease: LEASE,
      poll: 20,
      spacing: 50,
      backoff: 20,
      ...options,
    });
    this.workers.push(worker);
    worker.start();
    return worker;
  }

  async create(changes: Partial<Parameters<Runs["create"]>[1]> = {}): Promise<string> {
    return (await this.runs.create(OWNER, { task: "draw", input: INPUT, ...changes })).record.id;
  }

  /** All events of a run so far. */
  async events(id: string): Promise<RunEvent[]> {
    const all: RunEvent[] = [];
    for await (const event of eventsAfter(this.ledger, OWNER, id, 0)) all.push(event);
    return all;
  }

  /** Expects what is true of every run that has ended well. @param file its picture's bytes */
  async expectWhole(id: string, file = undisturbed(INPUT)): Promise<void> {
    const record = await this.runs.get(OWNER, id);
    expect(record.state).toBe("succeeded");
    expect((await this.runs.result(OWNER, id)).bytes).toEqual(await file);
    const all = await this.events(id);
    expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, i) => i + 1));
    expect(record.sequence).toBe(all.length);
    const steps = all.filter(({ type }) => type === "run.step").map(({ data }) => data.step);
    expect(steps).toEqual(steps.map((_, i) => i + 1));
    expect(steps).toHaveLength(record.steps);
    expect(await this.store.get(keys.lease(id))).toBeNull();
    expect((await this.store.list({ prefix: keys.allPending })).entries).toEqual([]);
    expect(await orphanedParts(this.store)).toEqual([]);
  }

  async until(id: string, wanted: (record: RunRecord) => boolean): Promise<RunRecord> {
    for (const end = performance.now() + 100_000; performance.now() < end;) {
      const record = await this.runs.get(OWNER, id).catch(() => null);
      if (record !== null && wanted(record)) return record;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${id} did not get there: ${JSON.stringify(await this.runs.get(OWNER, id))}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()));
    await this.store.close();
  }
}

/** The same store with other ways of some methods. */
export function withMethods(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const other: unknown = Reflect.get(methods, name);
      if (other !== undefined) return other;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
