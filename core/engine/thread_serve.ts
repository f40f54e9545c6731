/**
 * The inside of a thread: answers the calls of `openThread`.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { closed, packError, type Reply, type Request, unwrap } from "./thread_wire.ts";

/** Functions that a thread offers. One that returns an async iterable is driven step by step by its caller. */
// deno-lint-ignore no-explicit-any -- the one type that every parameter list extends
export type Handlers = Readonly<Record<string, (...args: any[]) => unknown>>;

interface Scope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  close(): void;
}

/**
 * Call it once, at the end of the thread's module. `onClose` runs when the owner closes the thread, after the calls
 * under way.
 *
 * ```ts
 * const handlers = { square: (x: number) => x * x, async *count(n: number) { for (let i = 0; i < n; i++) yield i; } };
 * export type Handlers = typeof handlers;
 * serveThread(handlers);
 * ```
 */
export function serveThread(handlers: Handlers, onClose?: () => void | Promise<void>): void {
  const scope = globalThis as unknown as Scope;
  const iterations = new Map<number, AsyncIterator<unknown>>();
  const active = new Set<Promise<void>>();
  const post = (reply: Reply, transfer: Transferable[] = []) => scope.postMessage(reply, transfer);

  const answer = async (request: Request): Promise<void> => {
    try {
      await perform(request);
    } catch (thrown) {
      post({ kind: "error", id: request.id, error: packError(thrown) });
    }
  };

  async function perform(request: Request): Promise<void> {
    const { id } = request;
    if (request.kind === "close") {
      const open = [...iterations.values()];
      iterations.clear();
      for (const iterator of open) await iterator.return?.();
      await Promise.all(active);
      await onClose?.();
      return post({ kind: "value", id, value: undefined });
    }
    if (request.kind === "call") {
      const result = await handlerOf(handlers, request.name)(...request.args);
      if (isAsyncIterable(result)) {
        iterations.set(id, result[Symbol.asyncIterator]());
        return post({ kind: "iteration", id });
      }
      const { value, buffers } = unwrap(result);
      return post({ kind: "value", id, value }, buffers);
    }
    const { done, value } = await advance(request.kind, request.iteration);
    const item = unwrap(value);
    post({ kind: "item", id, done, value: item.value }, item.buffers);
  }

  async function advance(kind: "next" | "return", iteration: number) {
    const iterator = iterations.get(iteration);
    if (kind === "return") {
      iterations.delete(iteration);
      await iterator?.return?.();
      return { done: true, value: undefined };
    }
    // Its owner asks no further after the last item, so what is not there was cut off by a close.
    if (iterator === undefined) throw closed();
    try {
      const { done, value } = await iterator.next();
      if (done === true && !iterations.has(iteration)) throw closed();
      if (done === true) iterations.delete(iteration);
      return { done: done === true, value };
    } catch (thrown) {
      iterations.delete(iteration);
      throw thrown;
    }
  }

  scope.onmessage = ({ data }) => {
    const work = answer(data);
    if (data.kind === "close") return;
    active.add(work);
    work.finally(() => active.delete(work));
  };
  // Deno tells nobody that a worker has ended: not when it exits (unload fires) and not when it closes itself.
  globalThis.addEventListener("unload", () => post({ kind: "bye" }));
  const close = scope.close.bind(scope);
  scope.close = () => {
    post({ kind: "bye" });
    close();
  };
  post({ kind: "ready" });
}

function handlerOf(handlers: Handlers, name: string): Handlers[string] {
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (handler !== undefined) return handler;
  throw new UnmaskError({
    code: "thread_call_unknown",
    message: `the thread has no ${name}`,
    fix: `it has ${Object.keys(handlers).join(", ")}`,
    status: 500,
  });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
