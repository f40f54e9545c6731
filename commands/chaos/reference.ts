/**
 * What each run would have been without any fault: drawn once more here, step by step, from its input, its origin and the
 * counts that its record says a budget changed.
 *
 * @module
 */
import { encodePicture } from "../../core/image/codec.ts";
import { readFiles } from "../../core/runs/input_files.ts";
import type { RunRecord } from "../../core/runs/record.ts";
import { fileOf } from "../../core/runs/result_file.ts";
import { budgetOf, kindOf, pictureOf } from "../../core/runs/state/kind.ts";
import { KINDS } from "../../core/runs/state/kinds.ts";
import type { StepEngine } from "../../core/runs/step_engine.ts";
import type { Store } from "../../core/runs/store/types.ts";

export interface Undisturbed {
  /** By the step that they led to, the first one included. An edit has two of step 0: before and behind the encoding. */
  readonly states: ReadonlyMap<number, readonly unknown[]>;
  readonly last: unknown;
}

export class References {
  readonly #engine: StepEngine;
  readonly #store: Store;
  readonly #records: ReadonlyMap<string, RunRecord>;
  readonly #known = new Map<string, Promise<Undisturbed>>();
  readonly #results = new Map<string, Promise<Uint8Array>>();

  /** @param store for the pictures of inputs; @param records of all runs, so that origins can be found */
  constructor(engine: StepEngine, store: Store, records: ReadonlyMap<string, RunRecord>) {
    [this.#engine, this.#store, this.#records] = [engine, store, records];
  }

  /** Runs that ask for the same share one. */
  of(record: RunRecord): Promise<Undisturbed> {
    const key = this.#keyOf(record);
    const known = this.#known.get(key) ?? this.#draw(record);
    this.#known.set(key, known);
    return known;
  }

  /** The file of the last state. */
  result(record: RunRecord): Promise<Uint8Array> {
    const key = this.#keyOf(record);
    const known = this.#results.get(key) ?? this.of(record).then(async ({ last }) => {
      const result = await this.#engine.result(record.task, last);
      return (await fileOf(result, record.encoding, encodePicture)).bytes;
    });
    this.#results.set(key, known);
    return known;
  }

  #keyOf({ task, input, merges, origin }: RunRecord): string {
    const parent = origin === null
      ? null
      : [origin.kind, origin.step, origin.positions, this.#keyOf(this.#parent(origin))];
    return JSON.stringify([task, input, merges, parent]);
  }

  #parent({ run }: { readonly run: string }): RunRecord {
    const parent = this.#records.get(run);
    if (parent === undefined) throw new RangeError(`${run}, which another run began from, is not there`);
    return parent;
  }

  async #draw(record: RunRecord): Promise<Undisturbed> {
    const { owner, id, task, input, origin, merges } = record;
    const kind = kindOf(KINDS, task);
    let state = await this.#engine.start(task, await readFiles(this.#store, owner, id, input));
    if (origin !== null) {
      const parent = (await this.of(this.#parent(origin))).last;
      const picture = pictureOf(kind);
      state = origin.kind === "fork"
        ? picture.fork(state, parent, origin.step)
        : picture.redraw(state, parent, Uint32Array.from(origin.positions ?? []));
    }
    const at = () => kind.progress(state).step;
    const states = new Map<number, unknown[]>();
    const note = () => void states.set(at(), [...states.get(at()) ?? [], state]);
    note();
    const rest = [...merges];
    while (!kind.done(state)) {
      const stepper = await this.#engine.open(task, state);
      try {
        while (!kind.done(state) && rest[0]?.step !== at()) {
          const delta = await stepper.step();
          if (delta === null) break;
          state = kind.fold(state, delta);
          note();
        }
      } finally {
        await stepper.close();
      }
      for (; rest[0] !== undefined && rest[0].step === at(); rest.shift()) {
        state = budgetOf(kind).withCounts(state, rest[0].counts);
        note();
      }
    }
    return { states, last: state };
  }
}
