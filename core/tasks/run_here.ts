/**
 * Drives a task in this thread, from its input to its result.
 *
 * @module
 */
import type { Delta, Task } from "./task.ts";

export interface RunOptions<State, D> {
  /** Aborting it ends the run before its next step; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called after every step with the state that it led to. */
  readonly onStep?: (state: State, delta: D) => void;
}

/**
 * ```ts
 * const { picture } = await runHere(createDraw(), { prompt: "a photo of a dog", seed: 7 }, model);
 * ```
 *
 * @param input already of the task's schema
 */
export async function runHere<Input, State, Result, Model, D = Delta>(
  task: Task<Input, State, Result, Model, D>,
  input: Input,
  model: Model,
  options: RunOptions<State, D> = {},
): Promise<Result> {
  return await continueHere(task, task.start(input, model), model, options);
}

/** Goes on from any state of a run. */
export async function continueHere<Input, State, Result, Model, D = Delta>(
  task: Task<Input, State, Result, Model, D>,
  from: State,
  model: Model,
  { signal, onStep }: RunOptions<State, D> = {},
): Promise<Result> {
  let state = from;
  signal?.throwIfAborted();
  const stepper = await task.open(state, model);
  try {
    for (let delta = await stepper.step(); delta !== null; delta = await stepper.step()) {
      state = task.fold(state, delta);
      onStep?.(state, delta);
      signal?.throwIfAborted();
    }
  } finally {
    stepper.close();
  }
  return await task.result(state, model);
}
