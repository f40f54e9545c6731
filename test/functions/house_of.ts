/**
 * A store in memory, a worker over an engine, and the doors to both: what every double of a house is. Never part of the
 * product.
 */
import { Admission, type AdmissionOptions } from "../../core/runs/admission.ts";
import { ApiKeys } from "../../core/runs/api_keys.ts";
import { Ledger } from "../../core/runs/ledger.ts";
import { Links } from "../../core/runs/links.ts";
import { Runs } from "../../core/runs/service.ts";
import type { Kind } from "../../core/runs/state/kind.ts";
import type { EncodeOutput, StepEngine } from "../../core/runs/step_engine.ts";
import { openMemory } from "../../core/runs/store/open.ts";
import type { Store } from "../../core/runs/store/types.ts";
import { Worker } from "../../core/runs/worker.ts";
import type { OpenAIDoor } from "../../functions/routes/openai/door.ts";

export interface TestHouse {
  readonly store: Store;
  readonly runs: Runs;
  readonly keys: ApiKeys;
  readonly links: Links;
  readonly door: OpenAIDoor;
  close(): Promise<void>;
}

export interface TestHouseParts {
  readonly engine: StepEngine;
  readonly kinds: readonly Kind[];
  readonly encode: EncodeOutput;
  /** The model's name. */
  readonly model: string;
  readonly admission?: AdmissionOptions | undefined;
}

export async function houseOf({ engine, kinds, encode, model, admission }: TestHouseParts): Promise<TestHouse> {
  const store = await openMemory();
  const ledger = new Ledger(store);
  const worker = new Worker({ ledger, engine, kinds, encode, poll: 20, spacing: 50 });
  const gate = new Admission(store, admission);
  const runs = new Runs({
    ledger,
    kinds,
    admit: (owner) => gate.admit(owner),
    check: async (task, input) => void await engine.start(task, input),
    onQueued: () => worker.wake(),
    onControl: (id, control) => worker.obey(id, control),
  });
  worker.start();
  const closing = new AbortController();
  const links = await Links.of(store);
  return {
    store,
    runs,
    keys: new ApiKeys(store),
    links,
    door: { runs, links, engine, encode, model, closing: closing.signal },
    async close() {
      closing.abort();
      await worker.stop();
      await store.close();
    },
  };
}
