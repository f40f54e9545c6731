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
  return {
    fingerprint: fingerprint({ weights: await weightsHash(folder), provider, runtime, device, threads }),
    // The kind of the run parsed the input, and its own codec read the state. A name that no task has is refused there.
    start: (task, input) => steps.start<unknown>(input, task as TaskName),
    open: (task, state) => steps.open(state, task as TaskName),
    result: (task, state) => steps.result<TaskResult>(state, task as TaskName),
    ...(steps.text === undefined
      ? {}
      : { text: (task, state) => steps.text?.(state, task as TaskName) ?? Promise.resolve("") }),
    decode: steps.decode,
    meanCode: steps.meanCode,
  };
}
