/** A task's states, step by step, for tests. */
import type { Delta, Task } from "../../../core/tasks/task.ts";

/** Every state from `from` to the last, `from` first. */
export async function statesFrom<Input, State, Result, Model>(
  task: Task<Input, State, Result, Model>,
  from: State,
  model: Model,
): Promise<State[]> {
  const stepper = await task.open(from, model);
  const states = [from];
  try {
    let state = from;
    for (let delta: Delta | null = await stepper.step(); delta !== null; delta = await stepper.step()) {
      state = task.fold(state, delta);
      states.push(state);
    }
  } finally {
    stepper.close();
  }
  return states;
}
