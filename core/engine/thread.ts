/**
 * A thread of its own for inference, so that HTTP, SSE and cancel never wait for a step: a module Worker behind typed
 * calls. What runs inside is its caller's module, which ends with `serveThread`.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Handlers } from "./thread_serve.ts";
import { closed, type Reply, type Request, Transferred, unpackError, unwrap } from "./thread_wire.ts";

export { transferred } from "./thread_wire.ts";

type Plain<T> = T extends Transferred<infer V> ? V : T;
type Items<T> = Awaited<T> extends AsyncIterable<infer V> ? Plain<V> : never;
type Given<A> = { readonly [K in keyof A]: A[K] | Transferred<A[K]> };

export interface ThreadOptions {
  /** Shown in stack traces. */
  readonly name?: string;
  /** What the thread may do, at most what this process may. @default {"none"} */
  readonly permissions?: Deno.PermissionOptions;
  /** Milliseconds until the module must have called `serveThread`. @default {60000} */
  readonly startTimeout?: number;
  /** Milliseconds that `close` waits for the calls under way. @default {10000} */
  readonly closeTimeout?: number;
}

/** The owner's end of a thread that serves `H`. */
export interface Thread<H extends Handlers> {
  /** Calls a handler. Arguments and result are copied, or moved where they are `transferred`. */
  call<K extends keyof H & string>(
    name: K,
    ...args: Given<Parameters<H[K]>>
  ): Promise<Plain<Awaited<ReturnType<H[K]>>>>;
  /**
   * Steps through a handler that returns an async iterable. The thread computes an item only when it is asked for;
   * leaving the loop ends the iteration in the thread too.
   */
  iterate<K extends keyof H & string>(
    name: K,
    ...args: Given<Parameters<H[K]>>
  ): AsyncGenerator<Items<ReturnType<H[K]>>>;
  /** Lets the calls under way finish, runs the thread's `onClose`, ends it. Later calls reject with `thread_closed`. */
  close(): Promise<void>;
  /** Why the thread is gone; undefined while it lives. */
  readonly death: UnmaskError | undefined;
}

/**
 * ```ts
 * const thread = await openThread<typeof handlers>(new URL("./entry.ts", import.meta.url), { permissions: { read: true } });
 * const nine = await thread.call("square", 3);
 * for await (const step of thread.iterate("draw", input)) publish(step);
 * ```
 *
 * @throws `thread_start_failed`
 */
export async function openThread<H extends Handlers>(url: URL, options: ThreadOptions = {}): Promise<Thread<H>> {
  const thread = new Owner<H>(url, options);
  await thread.started;
  return thread;
}

interface Pending {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** How long an ended thread is given to unload its addons: some ten times what it takes on two busy cores. */
const UNLOAD_MILLISECONDS = 250;

class Owner<H extends Handlers> implements Thread<H> {
  readonly started: Promise<void>;
  death: UnmaskError | undefined;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #closeTimeout: number;
  readonly #start = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  #lastId = 0;

  constructor(url: URL, options: ThreadOptions) {
    this.#closeTimeout = options.closeTimeout ?? 10_000;
    this.#worker = startWorker(url, options);
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#receive(data);
    this.#worker.onmessageerror = () => this.#die("it sent what cannot be read");
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message);
    };
    const timeout = options.startTimeout ?? 60_000;
    const timer = setTimeout(() => this.#die(`it was not ready within ${timeout} ms`), timeout);
    this.started = this.#start.promise.finally(() => clearTimeout(timer));
  }

  async call<K extends keyof H & string>(
    name: K,
    ...args: Given<Parameters<H[K]>>
  ): Promise<Plain<Awaited<ReturnType<H[K]>>>> {
    const { reply } = await this.#request(
      (id) => ({ kind: "call", id, name, args: args.map((arg) => unwrap(arg).value) }),
      args,
    );
    if (reply.kind !== "value") throw misuse(`${name} returns an iteration`, "use iterate");
    return reply.value as Plain<Awaited<ReturnType<H[K]>>>;
  }

  async *iterate<K extends keyof H & string>(
    name: K,
    ...args: Given<Parameters<H[K]>>
  ): AsyncGenerator<Items<ReturnType<H[K]>>> {
    const { id: iteration, reply } = await this.#request(
      (id) => ({ kind: "call", id, name, args: args.map((arg) => unwrap(arg).value) }),
      args,
    );
    if (reply.kind !== "iteration") throw misuse(`${name} returns no iteration`, "use call");
    let over = false;
    try {
      while (true) {
        const { reply: item } = await this.#request((id) => ({ kind: "next", id, iteration }));
        over = item.kind !== "item" || item.done;
        if (item.kind !== "item" || item.done) return;
        yield item.value as Items<ReturnType<H[K]>>;
      }
    } catch (thrown) {
      over = true;
      throw thrown;
    } finally {
      if (!over && this.death === undefined) await this.#request((id) => ({ kind: "return", id, iteration }));
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.death !== undefined) return;
    const asked = this.#request((id) => ({ kind: "close", id }));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#closeTimeout);
    try {
      await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
      // Whoever still waits is told so; after a close in time that is nobody.
      asked.catch(() => undefined);
      this.#end(closed());
    }
    // Deno does not say when a terminated worker's native addons are unloaded. A process that exits in the middle of it
    // corrupts its heap now and then (seen as SIGABRT and SIGSEGV after the work was done), so the caller waits a little.
    await new Promise((resolve) => setTimeout(resolve, UNLOAD_MILLISECONDS));
  }

  async #request(
    make: (id: number) => Request,
    args: readonly unknown[] = [],
  ): Promise<{ readonly id: number; readonly reply: Reply }> {
    const id = ++this.#lastId;
    const request = make(id);
    if (this.death !== undefined) throw this.death;
    if (this.#closing !== undefined && request.kind === "call") throw closed();
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.#pending.set(id, { resolve, reject });
    try {
      this.#worker.postMessage(request, args.flatMap((arg) => unwrap(arg).buffers));
    } catch (cause) {
      this.#pending.delete(id);
      throw cause;
    }
    return { id, reply: await promise };
  }

  #receive(reply: Reply): void {
    if (reply.kind === "ready") return this.#start.resolve();
    if (reply.kind === "bye") return this.#die("it ended itself");
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (reply.kind === "error") pending?.reject(unpackError(reply.error));
    else pending?.resolve(reply);
  }

  #die(reason: string): void {
    this.#start.reject(notStarted(reason));
    this.#end(
      new UnmaskError({
        code: "thread_died",
        message: `the inference thread died: ${reason}`,
        fix: "start it again; unfinished runs go on from their last record",
        status: 503,
      }),
    );
  }

  #end(death: UnmaskError): void {
    if (this.death !== undefined) return;
    this.death = death;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(death);
    this.#pending.clear();
  }
}

function misuse(message: string, fix: string): UnmaskError {
  return new UnmaskError({ code: "thread_call_mismatch", message, fix, status: 500 });
}

function startWorker(url: URL, options: ThreadOptions): Worker {
  try {
    return new Worker(url, {
      type: "module",
      ...(options.name === undefined ? {} : { name: options.name }),
      deno: { permissions: options.permissions ?? "none" },
    });
  } catch (cause) {
    // Mostly: it asks for more permissions than this process has.
    throw notStarted(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function notStarted(reason: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "thread_start_failed",
    message: `the inference thread did not start: ${reason}`,
    fix: "see the message; `deno task doctor` checks the providers",
    status: 503,
    cause,
  });
}
