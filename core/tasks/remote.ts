/**
 * The main thread's handle on inference: draws that take their steps in turn in a thread of its own. Nothing here
 * imports the runtime.
 *
 * @module
 */
import type { UnmaskError } from "../errors.ts";
import { openThread, type Thread } from "../engine/thread.ts";
import type { Picture } from "../model/types.ts";
import type { DrawResult } from "./draw.ts";
import { type DrawInput, parseDrawInput } from "./draw_input.ts";
import { type DrawState, foldDraw } from "./draw_state.ts";
import type { LoadOptions, ModelInfo, ThreadCalls } from "./thread_handlers.ts";
import type { Delta } from "./task.ts";
import { Semaphore } from "./turns.ts";

export interface InferenceOptions extends LoadOptions {
  /** Draws whose prompts are in memory at once; more wait. @default {4} */
  readonly slots?: number;
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

/** A draw step by step, for whoever keeps its state; takes its turns with all other draws. */
export interface RemoteSteps {
  /** @throws {UnmaskError} what the task's `start` refuses */
  start(input: DrawInput): Promise<DrawState>;
  open(state: DrawState): Promise<{ step(): Promise<Delta | null>; close(): Promise<void> }>;
  result(state: DrawState): Promise<DrawResult>;
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
export async function openInference({ slots = 4, ...load }: InferenceOptions): Promise<RemoteInference> {
  const thread = await openThread<ThreadCalls>(new URL("./thread_entry.ts", import.meta.url), {
    name: "inference",
    // It reads weights and loads runtimes; it writes nothing, starts nothing and opens no port.
    permissions: { read: "inherit", ffi: "inherit", env: "inherit", sys: "inherit" },
  });
  try {
    return new Remote(thread, await thread.call("load", load), slots);
  } catch (error) {
    await thread.close();
    throw error;
  }
}

class Remote implements RemoteInference {
  #info: ModelInfo;
  readonly #thread: Thread<ThreadCalls>;
  readonly #slots: Semaphore;
  /** One step at a time; whoever wants another goes to the end of the queue. */
  readonly #turn = new Semaphore(1);

  constructor(thread: Thread<ThreadCalls>, info: ModelInfo, slots: number) {
    this.#thread = thread;
    this.#info = info;
    this.#slots = new Semaphore(slots);
  }

  readonly steps: RemoteSteps = {
    start: (input) => this.#thread.call("start", input),
    open: async (state) => {
      const stepper = await this.#turn.hold(() => this.#thread.call("open", state));
      return {
        step: () => this.#turn.hold(() => this.#thread.call("step", stepper)),
        // A dead thread has nothing left to close.
        close: () => this.#thread.call("close", stepper).catch(() => undefined),
      };
    },
    result: async (state) => {
      const result = await this.#turn.hold(() => this.#thread.call("result", state));
      this.#info = { ...this.#info, loaded: await this.#thread.call("loaded") };
      return result;
    },
    decode: (ids) => this.#turn.hold(() => this.#thread.call("decode", ids)),
    meanCode: () => this.#thread.call("meanCode"),
  };

  get info(): ModelInfo {
    return this.#info;
  }

  get death(): UnmaskError | undefined {
    return this.#thread.death;
  }

  async draw(input: DrawInput, options: DrawCallOptions = {}): Promise<FinishedDraw> {
    const request = parseDrawInput(input);
    options.signal?.throwIfAborted();
    // Refusals come at once, not after a wait for a slot.
    const state = await this.#thread.call("start", request);
    return await this.#slots.hold(() => this.#run(state, options), options.signal);
  }

  async #run(from: DrawState, { signal, onStep }: DrawCallOptions): Promise<FinishedDraw> {
    let milliseconds = 0;
    const inTurn = <T>(work: () => Promise<T>) =>
      this.#turn.hold(async () => {
        const start = performance.now();
        const value = await work();
        milliseconds += performance.now() - start;
        return value;
      }, signal);
    let state = from;
    const stepper = await inTurn(() => this.#thread.call("open", state));
    try {
      while (state.counts.length > 0) {
        const delta = await inTurn(() => this.#thread.call("step", stepper));
        if (delta === null) throw new Error("the stepper ended before its state");
        state = foldDraw(state, delta);
        onStep?.(state.step, state.step + state.counts.length);
      }
    } finally {
      // A dead thread has nothing left to close.
      await this.#thread.call("close", stepper).catch(() => undefined);
    }
    const result = await inTurn(() => this.#thread.call("result", state));
    this.#info = { ...this.#info, loaded: await this.#thread.call("loaded") };
    const { seed, steps, guidance, order } = result.settings;
    return { ...result, seed, steps, guidance, order, seconds: milliseconds / 1000 };
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }
}
