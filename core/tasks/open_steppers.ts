/**
 * The steppers of one thread, by number, within a memory budget: those that wait are closed, the longest unused first,
 * and opened again from the state that they had reached when their next step is asked for. Exact, since
 * `open(fold(state, deltas))` goes on exactly (docs/design.md, "A task is a step machine"); it costs one prompt.
 *
 * @module
 */
import type { Model } from "../model/types.ts";
import { FOLDS, type TaskName, type ThreadTask } from "./all_tasks.ts";
import type { Delta, Stepper } from "./task.ts";

/**
 * Bytes. Under `full` attention a prompt is kept as embeddings, 100 MB of an edit of the published size; under `prefix`
 * as keys and values, of which an edit's three rows of 2,000 tokens take 200 MB a layer there (derived).
 */
const BUDGET = 4 * 2 ** 30;

interface Entry {
  readonly task: TaskName;
  readonly open: (state: unknown) => Promise<Stepper>;
  /** Where its steps have come to. */
  state: unknown;
  /** Undefined: closed until the next step. */
  stepper: Stepper | undefined;
  /** Steps that are under way: it is not closed for others' sake meanwhile. */
  atWork: number;
}

export class OpenSteppers {
  readonly #budget: number;
  /** In the order of their use, the latest last. */
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;

  /** @param budget bytes that steppers may hold together; one alone may always be open. @default {4 GiB} */
  constructor(budget = BUDGET) {
    this.#budget = budget;
  }

  async open(name: TaskName, task: ThreadTask, state: unknown, model: Model): Promise<number> {
    const open = (state: unknown) => task.open(state, model);
    const entry: Entry = { task: name, open, state, stepper: await open(state), atWork: 0 };
    this.#entries.set(++this.#lastId, entry);
    this.#makeRoom(entry);
    return this.#lastId;
  }

  /** Fails without moving: after an error the same step may be tried again. @throws {RangeError} of a closed one */
  async step(id: number): Promise<Delta | null> {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new RangeError(`stepper ${id} is not open`);
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    entry.atWork++;
    try {
      if (entry.stepper === undefined) {
        const stepper = await entry.open(entry.state);
        if (this.#entries.get(id) !== entry) {
          stepper.close();
          throw new RangeError(`stepper ${id} was closed while it was opened again`);
        }
        entry.stepper = stepper;
      }
      const delta = await entry.stepper.step();
      if (delta !== null) entry.state = FOLDS[entry.task](entry.state, delta);
      return delta;
    } finally {
      entry.atWork--;
      this.#makeRoom(entry);
    }
  }

  close(id: number): void {
    this.#entries.get(id)?.stepper?.close();
    this.#entries.delete(id);
  }

  closeAll(): void {
    for (const id of [...this.#entries.keys()]) this.close(id);
  }

  #makeRoom(latest: Entry): void {
    const held = ({ stepper }: Entry) => stepper?.bytes ?? 0;
    let bytes = [...this.#entries.values()].reduce((sum, entry) => sum + held(entry), 0);
    for (const entry of this.#entries.values()) {
      if (bytes <= this.#budget) return;
      if (entry === latest || entry.atWork > 0 || held(entry) === 0) continue;
      bytes -= held(entry);
      entry.stepper?.close();
      entry.stepper = undefined;
    }
  }
}
