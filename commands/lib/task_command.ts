/**
 * What the commands of single tasks share: a model opened for one run, its progress, and what it cost.
 *
 * @module
 */
import { kindOf } from "../../core/runs/state/kind.ts";
import { KINDS } from "../../core/runs/state/kinds.ts";
import type { TaskName } from "../../core/tasks/all_tasks.ts";
import type { InferenceOptions, RemoteInference } from "../../core/tasks/remote.ts";
import type { CommandContext } from "./command.ts";
import type { OpenModel } from "./model.ts";
import { Progress } from "./progress.ts";
import { runTask, type TaskRun } from "./run_task.ts";

export interface Told {
  readonly forwards: number;
  readonly model: string;
  readonly provider: string;
  /** Wall time of the run, the loading of the model not included. */
  readonly seconds: number;
}

/**
 * Checks an input as the task itself will, before seconds of loading.
 *
 * @param input with pictures unpacked
 * @throws {UnmaskError} what the task's schema refuses
 */
export function checkInput(task: TaskName, input: unknown): void {
  kindOf(KINDS, task).parse(input);
}

/** A model for as long as `use` takes. */
export async function withModel<T>(
  open: OpenModel,
  choice: InferenceOptions,
  use: (inference: RemoteInference) => Promise<T>,
): Promise<T> {
  const inference = await open(choice);
  try {
    return await use(inference);
  } finally {
    await inference.close();
  }
}

/** A run with its progress on stderr. @param label what it does: `answering` */
export async function runWithProgress<Result, State = unknown>(
  inference: RemoteInference,
  task: TaskName,
  input: unknown,
  label: string,
  { output, signal }: CommandContext,
): Promise<TaskRun<Result, State>> {
  const progress = new Progress(output, label), kind = kindOf(KINDS, task);
  try {
    return await runTask<Result, State>(inference, task, input, {
      signal,
      onState: (state) => {
        const { step, steps } = kind.progress(state);
        if (step > 0) progress.update(step, steps);
      },
    });
  } finally {
    progress.end();
  }
}

export function toldOf(
  { info }: RemoteInference,
  { forwards, seconds }: Pick<TaskRun<unknown, unknown>, "forwards" | "seconds">,
): Told {
  return { forwards, model: info.model, provider: info.provider, seconds: Number(seconds.toFixed(3)) };
}

/** The flags that were given, as fields of an input. */
export function given(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
