/** A store, the service over it and workers on the table model: what the tests of runs begin with. */
import { Ledger, type LedgerOptions } from "../../../core/runs/ledger.ts";
import type { RunRecord } from "../../../core/runs/record.ts";
import { Runs } from "../../../core/runs/service.ts";
import { drawKind } from "../../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../../core/runs/store/open.ts";
import type { Store } from "../../../core/runs/store/types.ts";
import { Worker, type WorkerOptions } from "../../../core/runs/worker.ts";
import { plainFile, tableEngine } from "./table_engine.ts";

export const OWNER = "somebody";
export const INPUT = { prompt: "a dog", seed: 3, steps: 12 };

export class Bench {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly runs: Runs;
  readonly #workers: Worker[] = [];

  /** @param wrap puts faults before the store */
  constructor(memory: Store, wrap: (store: Store) => Store = (store) => store, options: LedgerOptions = {}) {
    this.store = memory;
    this.ledger = new Ledger(wrap(memory), options);
    this.runs = new Runs({ ledger: this.ledger, kinds: [drawKind] });
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
      lease: 400,
      poll: 20,
      spacing: 50,
      backoff: 20,
      ...options,
    });
    this.#workers.push(worker);
    worker.start();
    return worker;
  }

  async create(): Promise<string> {
    return (await this.runs.create(OWNER, { task: "draw", input: INPUT })).record.id;
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
    await Promise.all(this.#workers.map((worker) => worker.stop()));
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
