/**
 * The inference thread as a run's engine.
 *
 * @module
 */
import type { TaskName, TaskResult } from "../tasks/all_tasks.ts";
import type { RemoteInference, RemoteSteps } from "../tasks/remote.ts";
import { Begun } from "./begun.ts";
import { fingerprint, weightsHash } from "./state/fingerprint.ts";
import type { StepEngine } from "./step_engine.ts";

export interface ThreadEngine extends StepEngine {
  /**
   * What `start` refuses, before a run is accepted.
   *
   * @param begin its steps may be begun before it is claimed
   */
  check(task: string, input: unknown, begin: boolean): Promise<void>;
}

/** Reads the folder's weights once, for the fingerprint. */
export async function threadEngine(
  { provider, runtime, device, threads }: RemoteInference["info"],
  steps: RemoteSteps,
  folder: string,
): Promise<ThreadEngine> {
  const checked = new Checked();
  const begun = new Begun((task, state) => steps.open(state, task as TaskName));
  const first = (task: string, input: unknown) => steps.start<unknown>(input, task as TaskName);
  return {
    fingerprint: fingerprint({ weights: await weightsHash(folder), provider, runtime, device, threads }),
    // The kind of the run parsed the input, and its own codec read the state. A name that no task has is refused there.
    start: (task, input) => checked.once(task, input, () => first(task, input)),
    async check(task, input, begin) {
      const state = await checked.keep(task, input, () => first(task, input));
      if (begin && state !== undefined) begun.begin(task, state);
    },
    open: (task, state, ahead) => begun.take(state, () => steps.open(state, task as TaskName, ahead)),
    result: (task, state) => steps.result<TaskResult>(state, task as TaskName),
    ...(steps.text === undefined
      ? {}
      : { text: (task, state) => steps.text?.(state, task as TaskName) ?? Promise.resolve("") }),
    decode: steps.decode,
    meanCode: steps.meanCode,
  };
}

/** States that are kept for runs that are about to begin. */
const KEPT = 16;

/**
 * A run is checked where it is accepted and begins in a worker of the same process: the first state of the check, plain
 * data as it is, is then the run's. Each is given once. Inputs with pictures are not kept.
 */
class Checked {
  readonly #states = new Map<string, unknown>();

  /** @returns what is kept for {@linkcode Checked.once}; undefined: nothing */
  async keep(task: string, input: unknown, start: () => Promise<unknown>): Promise<unknown> {
    const key = keyOf(task, input);
    const state = await start();
    if (key === null) return undefined;
    this.#states.set(key, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > KEPT && oldest !== undefined) this.#states.delete(oldest);
    return state;
  }

  async once(task: string, input: unknown, start: () => Promise<unknown>): Promise<unknown> {
    const key = keyOf(task, input);
    const state = key === null ? undefined : this.#states.get(key);
    if (key === null || state === undefined) return await start();
    this.#states.delete(key);
    return state;
  }
}

function keyOf(task: string, input: unknown): string | null {
  let plain = true;
  const text = JSON.stringify([task, input], (_, value: unknown) => {
    if (ArrayBuffer.isView(value)) plain = false;
    return plain ? value : null;
  });
  return plain ? text : null;
}
