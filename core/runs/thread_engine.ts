/**
 * The inference thread as a run's engine.
 *
 * @module
 */
import type { TaskName, TaskResult } from "../tasks/all_tasks.ts";
import type { RemoteInference, RemoteSteps } from "../tasks/remote.ts";
import { fingerprint, weightsHash } from "./state/fingerprint.ts";
import type { StepEngine } from "./step_engine.ts";

/** Reads the folder's weights once, for the fingerprint. */
export async function threadEngine(
  { provider, runtime, device, threads }: RemoteInference["info"],
  steps: RemoteSteps,
  folder: string,
): Promise<StepEngine> {
  const checked = new Checked();
  return {
    fingerprint: fingerprint({ weights: await weightsHash(folder), provider, runtime, device, threads }),
    // The kind of the run parsed the input, and its own codec read the state. A name that no task has is refused there.
    start: (task, input) => checked.once(task, input, () => steps.start<unknown>(input, task as TaskName)),
    open: (task, state) => steps.open(state, task as TaskName),
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

  async once(task: string, input: unknown, start: () => Promise<unknown>): Promise<unknown> {
    const key = keyOf(task, input);
    if (key === null) return await start();
    if (this.#states.has(key)) {
      const state = this.#states.get(key);
      this.#states.delete(key);
      return state;
    }
    const state = await start();
    this.#states.set(key, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > KEPT && oldest !== undefined) this.#states.delete(oldest);
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
