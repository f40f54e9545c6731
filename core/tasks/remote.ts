/**
 * The main thread's handle on inference: draws that take their steps in turn in a thread of its own. Nothing here
 * imports the runtime.
 *
 * @module
 */
import type { UnmaskError } from "../errors.ts";
import type { Picture } from "../model/types.ts";
import { FOLDS, type TaskName } from "./all_tasks.ts";
import type { DrawResult } from "./draw.ts";
import { type DrawInput, parseDrawInput } from "./draw_input.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
import type { LoadOptions, ModelInfo } from "./thread_handlers.ts";
import { type InferenceThread, ThreadKeeper } from "./thread_keeper.ts";
import { type ClosableSteps, type InTurn, StepsAhead } from "./steps_ahead.ts";
import type { Delta } from "./task.ts";
import { Semaphore } from "./turns.ts";

export interface InferenceOptions extends LoadOptions {
  /** Draws whose prompts are in memory at once; more wait. @default {4} */
  readonly slots?: number;
  /** Told when the thread or its GPU was lost and another thread goes on. @default a line on stderr */
  readonly onRestart?: (reason: UnmaskError) => void;
  /** The thread's module, for tests. @default the inference thread's own */
  readonly entry?: URL;
}

export interface DrawCallOptions {
  /** Aborting it ends the draw before its next step; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called after every step with the step's number, from 1, and the number of steps. */
  readonly onStep?: (step: number, steps: number) => void;
}

/** A finished draw, with the options that matter to callers as they were really used. */
export interface FinishedDraw extends DrawResult {
  readonly picture: Picture;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly order: DrawResult["settings"]["order"];
  /** Wall time of the draw, waiting for other draws excluded. */
  readonly seconds: number;
}

/**
 * A run of a task step by step, for whoever keeps its state; takes its turns with all others. The types of states and
 * results are the caller's word: they follow from the task.
 */
export interface RemoteSteps {
  /**
   * @param input pictures as their files' bytes
   * @param task @default {"draw"}
   * @throws {UnmaskError} `task_not_supported`, what the task's `start` refuses
   */
  start<State = DrawState>(input: unknown, task?: TaskName): Promise<State>;
  /** @param ahead each step is begun before it is asked for, which is in vain if it never is. @default {true} */
  open(state: unknown, task?: TaskName, ahead?: boolean): Promise<ClosableSteps>;
  result<Result = DrawResult>(state: unknown, task?: TaskName): Promise<Result>;
  /** Of a task that fills text: what will not change any more. */
  text?(state: unknown, task: TaskName): Promise<string>;
  decode(ids: Uint16Array): Promise<Picture>;
  /** See core/model/mean_code.ts. */
  meanCode(): Promise<number>;
}

export interface RemoteInference {
  /** Absent: this inference gives whole pictures only, and no run can be worked on. */
  readonly steps?: RemoteSteps;
  /** What is used and loaded, as of the last draw that finished. */
  readonly info: ModelInfo;
  /** Why the inference thread is gone; absent while it lives. */
  readonly death?: UnmaskError | undefined;
  /**
   * @param input checked here: see {@link parseDrawInput}
   * @throws {UnmaskError} what the task's `start` refuses; `thread_died` (503)
   */
  draw(input: DrawInput, options?: DrawCallOptions): Promise<FinishedDraw>;
  /** Lets the step under way finish; draws that are not done reject with `thread_closed`. */
  close(): Promise<void>;
}

/**
 * ```ts
 * const inference = await openInference({ modelFolder: "models/scenes" });
 * const { picture } = await inference.draw({ prompt: "a photo of a dog", seed: 7 });
 * ```
 *
 * @throws {UnmaskError} `thread_start_failed`, and what engine and model folder refuse
 */
export async function openInference(options: InferenceOptions): Promise<RemoteInference> {
  const { slots = 4, onRestart = tellRestart, entry = ENTRY, ...load } = options;
  return new Remote(await ThreadKeeper.open({ load, entry, onRestart }), slots);
}

const ENTRY = new URL("./thread_entry.ts", import.meta.url);

function tellRestart({ code, message }: UnmaskError): void {
  console.error(JSON.stringify({ level: "error", event: "inference_restarted", code, message }));
}

class Remote implements RemoteInference {
  readonly #keeper: ThreadKeeper;
  /** As of the last draw that finished. */
  #loaded: ModelInfo["loaded"];
  readonly #slots: Semaphore;
  /** One step at a time; whoever wants another goes to the end of the queue. */
  readonly #turn = new Semaphore(1);

  constructor(keeper: ThreadKeeper, slots: number) {
    this.#keeper = keeper;
    this.#loaded = keeper.info.loaded;
    this.#slots = new Semaphore(slots);
  }

  readonly steps: RemoteSteps = {
    start: async <State>(input: unknown, task?: TaskName) =>
      await this.#keeper.use((thread) => thread.call("start", input, task)) as State,
    open: async (state, task = "draw", ahead = true) => {
      const stepper = new RemoteStepper(this.#keeper, state, task);
      await this.#turn.hold(() => stepper.open());
      const inTurn: InTurn = (work, signal) => this.#turn.hold(work, signal);
      if (ahead) return new StepsAhead(stepper, inTurn);
      return { step: () => this.#turn.hold(() => stepper.step()), close: () => stepper.close() };
    },
    result: async <Result>(state: unknown, task?: TaskName) =>
      await this.#turn.hold(() => this.#result(state, task)) as Result,
    text: (state, task) => this.#keeper.use((thread) => thread.call("text", state, task)),
    decode: (ids) => this.#turn.hold(() => this.#keeper.use((thread) => thread.call("decode", ids))),
    meanCode: () => this.#keeper.use((thread) => thread.call("meanCode")),
  };

  get info(): ModelInfo {
    return { ...this.#keeper.info, loaded: this.#loaded };
  }

  get death(): UnmaskError | undefined {
    return this.#keeper.death;
  }

  async draw(input: DrawInput, options: DrawCallOptions = {}): Promise<FinishedDraw> {
    const request = parseDrawInput(input);
    options.signal?.throwIfAborted();
    // Refusals come at once, not after a wait for a slot.
    const state = await this.#keeper.use((thread) => thread.call("start", request)) as DrawState;
    return await this.#slots.hold(() => this.#run(state, options), options.signal);
  }

  async #run(from: DrawState, { signal, onStep }: DrawCallOptions): Promise<FinishedDraw> {
    let milliseconds = 0;
    const inTurn = <T>(work: () => Promise<T>, leaving?: AbortSignal) =>
      this.#turn.hold(async () => {
        const start = performance.now();
        const value = await work();
        milliseconds += performance.now() - start;
        return value;
      }, AbortSignal.any([signal, leaving].filter((each) => each !== undefined)));
    let state = from;
    const stepper = new RemoteStepper(this.#keeper, state, "draw");
    await inTurn(() => stepper.open());
    const steps = new StepsAhead(stepper, inTurn);
    try {
      while (state.counts.length > 0) {
        signal?.throwIfAborted();
        const delta = await steps.step();
        if (delta === null) throw new Error("the stepper ended before its state");
        state = foldDraw(state, delta);
        onStep?.(state.step, state.step + state.counts.length);
      }
      const result = await inTurn(() => this.#result(state)) as DrawResult;
      const { seed, guidance, order } = result.settings;
      return { ...result, seed, steps: result.settings.steps, guidance, order, seconds: milliseconds / 1000 };
    } finally {
      await steps.close();
    }
  }

  async #result(state: unknown, task?: TaskName): Promise<unknown> {
    return await this.#keeper.use(async (thread) => {
      const result = await thread.call("result", state, task);
      this.#loaded = await thread.call("loaded");
      return result;
    });
  }

  async close(): Promise<void> {
    await this.#keeper.close();
  }
}

/** A stepper in the thread; where that is gone, another one in the next thread from the state that was reached. */
class RemoteStepper implements ClosableSteps {
  readonly #keeper: ThreadKeeper;
  #state: unknown;
  readonly #task: TaskName;
  #open: { readonly thread: InferenceThread; readonly id: number } | undefined;

  constructor(keeper: ThreadKeeper, state: unknown, task: TaskName) {
    this.#keeper = keeper;
    this.#state = state;
    this.#task = task;
  }

  async open(): Promise<void> {
    await this.#keeper.use((thread) => this.#in(thread));
  }

  async step(): Promise<Delta | null> {
    return await this.#keeper.use(async (thread) => {
      const delta = await thread.call("step", await this.#in(thread));
      if (delta !== null) this.#state = FOLDS[this.#task](this.#state, delta);
      return delta;
    });
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    // A dead thread has nothing left to close.
    await open?.thread.call("close", open.id).catch(() => undefined);
  }

  async #in(thread: InferenceThread): Promise<number> {
    if (this.#open?.thread !== thread) this.#open = { thread, id: await thread.call("open", this.#state, this.#task) };
    return this.#open.id;
  }
}
