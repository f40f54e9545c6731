/**
 * The real tasks over the table of numbers of `seeing_model.ts`, as an inference for commands: what they send, and what
 * they make of what comes back, without weights. Never part of the product.
 */
import { ThreadHandlers } from "../../../core/tasks/thread_handlers.ts";
import type { Loaded } from "../../../core/tasks/thread_handlers.ts";
import { createDraw } from "../../../core/tasks/draw.ts";
import { type TaskName, TASKS } from "../../../core/tasks/all_tasks.ts";
import type { InferenceOptions, RemoteInference, RemoteSteps } from "../../../core/tasks/remote.ts";
import { type Saying, seeingModel } from "../../core/tasks/seeing_model.ts";
import { INFO } from "../../functions/double.ts";

export interface Seeing extends RemoteInference {
  readonly steps: RemoteSteps;
  /** What was started. */
  readonly inputs: { readonly task: TaskName; readonly input: Readonly<Record<string, unknown>> }[];
  closed: number;
}

/** @param able what the model was trained for. @default everything */
export async function seeing(
  { able = TASKS, ...saying }: Saying & { readonly able?: readonly TaskName[] } = {},
): Promise<Seeing> {
  const table = seeingModel(saying), side = table.config.grid;
  // A picture that a file can hold: a pixel for each id.
  const decode = (ids: Uint16Array) =>
    Promise.resolve({
      width: side,
      height: side,
      data: Uint8Array.from({ length: 3 * ids.length }, (_, i) => ids[Math.floor(i / 3)] ?? 0),
    });
  const model = { ...table, decode }, info = { ...INFO, model: "table", tasks: able };
  const engine = { info: model.info, close: () => Promise.resolve() } as Loaded["engine"];
  const { calls } = new ThreadHandlers(() =>
    Promise.resolve({ engine, model, draw: createDraw(), lexicon: null, info })
  );
  await calls.load({ modelFolder: "table" });
  const inputs: Seeing["inputs"] = [];
  const steps: RemoteSteps = {
    start: async <State>(input: unknown, task: TaskName = "draw") => {
      inputs.push({ task, input: input as Readonly<Record<string, unknown>> });
      return await calls.start(input, task) as State;
    },
    open: async (state, task) => {
      const id = await calls.open(state, task);
      return { step: () => calls.step(id), close: () => Promise.resolve(calls.close(id)) };
    },
    result: async <Result>(state: unknown, task?: TaskName) => await calls.result(state, task) as Result,
    decode: calls.decode,
    meanCode: () => Promise.resolve(0),
  };
  const seen: Seeing = {
    info,
    inputs,
    steps,
    closed: 0,
    draw: () => Promise.reject(new Error("the commands of tasks run steps")),
    close: () => Promise.resolve(void seen.closed++),
  };
  return seen;
}

/** For commands: the inference, and the choices with which it was opened. */
export function opening(inference: Promise<RemoteInference>, choices: InferenceOptions[] = []) {
  return (choice: InferenceOptions) => {
    choices.push(choice);
    return inference;
  };
}
