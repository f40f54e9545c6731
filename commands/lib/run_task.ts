/**
 * A run of any task through the runtime, from its input to its result, for commands that keep nothing of it.
 *
 * @module
 */
import { FOLDS, type TaskName } from "../../core/tasks/all_tasks.ts";
import type { RemoteInference } from "../../core/tasks/remote.ts";
import { UnmaskError } from "../../core/errors.ts";

export interface TaskRunOptions<State> {
  /** Aborting it ends the run before its next step; the promise then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Called with the first state, and after every step with the state that it led to. */
  readonly onState?: (state: State) => void;
}

export interface TaskRun<Result, State> {
  readonly result: Result;
  readonly state: State;
  /** Forwards of the network: steps but for the one that only encodes a source. */
  readonly forwards: number;
  /** Wall time from its start, its reading of the prompt included. */
  readonly seconds: number;
}

/**
 * @param input pictures as their files' bytes. The types of result and state are the caller's word: they follow from the
 * task
 * @throws {UnmaskError} `task_not_supported`, what the task's `start` refuses
 */
export async function runTask<Result, State = unknown>(
  { steps, info }: RemoteInference,
  task: TaskName,
  input: unknown,
  { signal, onState }: TaskRunOptions<State>,
): Promise<TaskRun<Result, State>> {
  if (steps === undefined) throw noSteps(info.model);
  const began = performance.now();
  let state = await steps.start(input, task) as State, forwards = 0;
  onState?.(state);
  signal.throwIfAborted();
  const stepper = await steps.open(state, task);
  try {
    for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
      state = FOLDS[task](state, delta) as State;
      // Step 0 of an edit is the encoding of its source.
      if (delta.step > 0) forwards++;
      onState?.(state);
      signal.throwIfAborted();
    }
  } finally {
    await stepper.close();
  }
  const result = await steps.result<Result>(state, task);
  return { result, state, forwards, seconds: (performance.now() - began) / 1000 };
}

function noSteps(model: string): UnmaskError {
  return new UnmaskError({
    code: "task_not_supported",
    message: `this inference of ${model} draws whole pictures only`,
    fix: "open the model in this process",
    param: "task",
  });
}
