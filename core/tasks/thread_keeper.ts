/**
 * The inference thread with its model, made anew when it or its GPU is gone: what was under way goes on from its state,
 * which is never in the thread alone.
 *
 * @module
 */
import { openThread, type Thread } from "../engine/thread.ts";
import { UnmaskError } from "../errors.ts";
import type { LoadOptions, ModelInfo, ThreadCalls } from "./thread_handlers.ts";

export type InferenceThread = Thread<ThreadCalls>;

export interface KeeperOptions {
  readonly load: LoadOptions;
  /** The thread's module. */
  readonly entry: URL;
  /** Told when a thread takes the place of one that is gone. */
  readonly onRestart: (reason: UnmaskError) => void;
}

/** After these nothing that the thread holds computes any more. */
const GONE: ReadonlySet<string> = new Set(["gpu_device_lost", "session_broken", "thread_died"]);

export class ThreadKeeper {
  readonly #options: KeeperOptions;
  #thread: InferenceThread;
  #info: ModelInfo;
  #replacing: Promise<void> | undefined;
  #closing = false;

  private constructor(options: KeeperOptions, thread: InferenceThread, info: ModelInfo) {
    this.#options = options;
    this.#thread = thread;
    this.#info = info;
  }

  /** @throws {UnmaskError} `thread_start_failed`, and what engine and model folder refuse */
  static async open(options: KeeperOptions): Promise<ThreadKeeper> {
    const { thread, info } = await start(options.entry, options.load);
    return new ThreadKeeper(options, thread, info);
  }

  /** As of the last load. */
  get info(): ModelInfo {
    return this.#info;
  }

  /** Why the thread is gone; undefined while it lives, and again once another took its place. */
  get death(): UnmaskError | undefined {
    return this.#thread.death;
  }

  /**
   * `work` on the thread; where that is gone, once more on another one. What is gone does not come back by itself, so
   * `work` opens in the new thread what it had open in the old one.
   */
  async use<T>(work: (thread: InferenceThread) => Promise<T>): Promise<T> {
    const thread = this.#thread;
    try {
      return await work(thread);
    } catch (error) {
      if (this.#closing || !(error instanceof UnmaskError) || !GONE.has(error.code)) throw error;
      await this.#replace(thread, error);
      return await work(this.#thread);
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#replacing?.catch(() => undefined);
    await this.#thread.close();
  }

  /** Many may find it gone at once; one of them replaces it. */
  async #replace(gone: InferenceThread, reason: UnmaskError): Promise<void> {
    if (this.#thread !== gone) return;
    this.#replacing ??= this.#startAnother(reason).finally(() => this.#replacing = undefined);
    await this.#replacing;
  }

  async #startAnother(reason: UnmaskError): Promise<void> {
    await this.#thread.close(); // its memory first: two models may not fit
    const { provider } = this.#info;
    // Not another provider in silence, which `auto` would take when the GPU does not come back.
    const { thread, info } = await start(this.#options.entry, { ...this.#options.load, provider });
    const same = (["runtime", "device", "threads"] as const).every((name) => info[name] === this.#info[name]);
    if (!same || this.#closing) {
      await thread.close();
      throw same ? reason : changed(this.#info, info, reason);
    }
    this.#thread = thread;
    this.#info = info;
    this.#options.onRestart(reason);
  }
}

async function start(entry: URL, load: LoadOptions): Promise<{ thread: InferenceThread; info: ModelInfo }> {
  const thread = await openThread<ThreadCalls>(entry, {
    name: "inference",
    // It reads weights and loads runtimes; it writes nothing, starts nothing and opens no port.
    permissions: { read: "inherit", ffi: "inherit", env: "inherit", sys: "inherit" },
  });
  try {
    return { thread, info: await thread.call("load", load) };
  } catch (error) {
    await thread.close();
    throw error;
  }
}

function changed(before: ModelInfo, after: ModelInfo, cause: UnmaskError): UnmaskError {
  return new UnmaskError({
    code: "engine_changed",
    message: `after ${cause.code} inference came back on ${after.device}, not on ${before.device}`,
    fix: "restart the process, so that its runs record what computes them",
    status: 503,
    cause,
  });
}
