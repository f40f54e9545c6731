/**
 * Where a request's time goes: when the worker of its run asks the engine, and the codec.
 *
 * @module
 */
import type { Codec } from "../../core/image/codec_thread.ts";
import type { RemoteInference, RemoteSteps } from "../../core/tasks/remote.ts";

/** Where a request's time goes, ms. */
export interface Parts {
  /** Until the engine is first asked: HTTP, the check of the input. */
  readonly before: number;
  /** Waiting for the engine's calls. Longer than the same alone: work beside the steps takes cores from them. */
  readonly engine: number;
  /** Between them: queue, claim and the worker's loop, while a step is computed already. */
  readonly between: number;
  readonly file: number;
  /** From the pixels on, without the file: the last commit, reading it back, the answer. */
  readonly after: number;
}

interface Call {
  readonly name: "engine" | "file";
  readonly from: number;
  readonly to: number;
}

/** Sees when the worker asks the engine and the codec; the engine's own draws do not pass it. */
export class RequestWatch {
  readonly inference: RemoteInference;
  readonly codec: Codec;
  #calls: Call[] = [];

  constructor(inference: RemoteInference, codec: Codec) {
    const { steps } = inference;
    if (steps === undefined) throw new TypeError("this inference takes no steps");
    const engine = <T>(work: () => Promise<T>) => this.#see("engine", work);
    const watched: RemoteSteps = {
      ...steps,
      open: async (state, task, ahead) => {
        const open = await engine(() => steps.open(state, task, ahead));
        return { step: () => engine(() => open.step()), close: () => open.close() };
      },
      result: (state, task) => engine(() => steps.result(state, task)),
    };
    this.inference = {
      steps: watched,
      get info() {
        return inference.info;
      },
      draw: (input, options) => inference.draw(input, options),
      get death() {
        return inference.death;
      },
      close: () => inference.close(),
    };
    this.codec = { ...codec, encode: (...picture) => this.#see("file", () => codec.encode(...picture)) };
  }

  start(): number {
    this.#calls = [];
    return performance.now();
  }

  parts(start: number, request: number): Parts {
    const engine = this.#calls.filter(({ name }) => name === "engine");
    const [first, last] = [engine[0], engine.at(-1)];
    if (first === undefined || last === undefined) throw new Error("the request did not ask the engine");
    const sum = (calls: readonly Call[]) => calls.reduce((total, { from, to }) => total + to - from, 0);
    const file = sum(this.#calls.filter(({ name }) => name === "file"));
    const inside = sum(engine);
    return {
      before: first.from - start,
      engine: inside,
      between: last.to - first.from - inside,
      file,
      after: start + request - last.to - file,
    };
  }

  async #see<T>(name: "engine" | "file", work: () => Promise<T>): Promise<T> {
    const from = performance.now();
    const value = await work();
    this.#calls.push({ name, from, to: performance.now() });
    return value;
  }
}
