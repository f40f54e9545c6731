/**
 * Every task over the tables of numbers of `seeing_model.ts`, in this process: real runs in a store in memory, real doors,
 * and no graph. Never part of the product.
 */
import { Admission, type AdmissionOptions } from "../../core/runs/admission.ts";
import { ApiKeys } from "../../core/runs/api_keys.ts";
import { Ledger } from "../../core/runs/ledger.ts";
import { Links } from "../../core/runs/links.ts";
import { Runs } from "../../core/runs/service.ts";
import { KINDS } from "../../core/runs/state/kinds.ts";
import type { EncodeOutput, StepEngine } from "../../core/runs/step_engine.ts";
import { openMemory } from "../../core/runs/store/open.ts";
import type { Store } from "../../core/runs/store/types.ts";
import { Worker } from "../../core/runs/worker.ts";
import { allTasks, refuseTask, type TaskName, TASKS } from "../../core/tasks/all_tasks.ts";
import { createDraw } from "../../core/tasks/draw.ts";
import { unpackPictures } from "../../core/tasks/input_pictures.ts";
import type { OpenAIDoor } from "../../functions/routes/openai/door.ts";
import { seeingModel } from "../core/tasks/seeing_model.ts";

export interface SeeingHouse {
  readonly store: Store;
  readonly runs: Runs;
  readonly keys: ApiKeys;
  readonly links: Links;
  readonly door: OpenAIDoor;
  close(): Promise<void>;
}

export interface SeeingOptions {
  /** What the model was trained for. @default everything */
  readonly able?: readonly TaskName[];
  readonly admission?: AdmissionOptions;
  readonly says?: Readonly<Record<number, number>>;
}

/** The bytes of the pixels alone. */
const encode: EncodeOutput = ({ data }) => Promise.resolve(data.slice());

/** @param stepMilliseconds how long each step takes */
export function seeingEngine(stepMilliseconds = 0, { able = TASKS, says }: SeeingOptions = {}): StepEngine {
  const model = seeingModel(says);
  const tasks = allTasks(createDraw());
  const of = (task: string) => tasks[refuseTask(task, able, "table")];
  return {
    fingerprint: "table",
    start: async (task, input) => of(task).start(await unpackPictures(input), model),
    open: async (task, state) => {
      const stepper = await of(task).open(state, model);
      return {
        async step() {
          if (stepMilliseconds > 0) await new Promise((resolve) => setTimeout(resolve, stepMilliseconds));
          return await stepper.step();
        },
        close: () => Promise.resolve(stepper.close()),
      };
    },
    result: (task, state) => of(task).result(state, model),
    text: (task, state) => Promise.resolve(of(task).text?.(state, model) ?? ""),
    decode: (ids) => model.decode(ids),
    meanCode: () => Promise.resolve(0),
  };
}

export async function seeingHouse(options: SeeingOptions = {}): Promise<SeeingHouse> {
  const { admission } = options;
  const engine = seeingEngine(0, options);
  const store = await openMemory();
  const ledger = new Ledger(store);
  const worker = new Worker({ ledger, engine, kinds: KINDS, encode, poll: 20 });
  const gate = new Admission(store, admission);
  const runs = new Runs({
    ledger,
    kinds: KINDS,
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
    door: { runs, links, engine, encode, model: "table", closing: closing.signal },
    async close() {
      closing.abort();
      await worker.stop();
      await store.close();
    },
  };
}
