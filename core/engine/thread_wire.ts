/**
 * What travels between a thread and its owner, and how errors survive the way.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";

/** Owner to thread. An iteration is a series of `next`; `return` ends it early. */
export type Request =
  | { readonly kind: "call"; readonly id: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: "next" | "return"; readonly id: number; readonly iteration: number }
  | { readonly kind: "close"; readonly id: number };

/** Thread to owner. */
export type Reply =
  | { readonly kind: "ready" }
  | { readonly kind: "bye" }
  | { readonly kind: "value"; readonly id: number; readonly value: unknown }
  | { readonly kind: "iteration"; readonly id: number }
  | { readonly kind: "item"; readonly id: number; readonly done: boolean; readonly value: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: WireError };

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Present for an UnmaskError. */
  readonly unmask?: {
    readonly code: string;
    readonly fix: string;
    readonly param: string | undefined;
    readonly status: number;
  };
}

export function packError(thrown: unknown): WireError {
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown), stack: undefined };
  const { name, message, stack } = thrown;
  if (!(thrown instanceof UnmaskError)) return { name, message, stack };
  const { code, fix, param, status } = thrown;
  return { name, message, stack, unmask: { code, fix, param, status } };
}

/** The error as the owner throws it; the thread's stack is its cause. */
export function unpackError(error: WireError): Error {
  const { name, message, stack, unmask } = error;
  if (unmask !== undefined) {
    const { code, fix, param, status } = unmask;
    return new UnmaskError({ code, message, fix, status, cause: stack, ...(param === undefined ? {} : { param }) });
  }
  const plain = new Error(message, { cause: stack });
  plain.name = name;
  return plain;
}

/** A value whose buffers move to the other side instead of being copied. */
export class Transferred<T> {
  constructor(readonly value: T, readonly buffers: readonly Transferable[]) {}
}

/**
 * Marks what a handler returns or yields, or what is given to `call`: `buffers` move, and are empty here afterwards. Do
 * it only with buffers that nothing on this side will read again.
 */
export function transferred<T>(value: T, buffers: readonly Transferable[]): Transferred<T> {
  return new Transferred(value, buffers);
}

export function unwrap(value: unknown): { readonly value: unknown; readonly buffers: Transferable[] } {
  return value instanceof Transferred ? { value: value.value, buffers: [...value.buffers] } : { value, buffers: [] };
}

/** What a call to a closed thread, or an iteration cut off by the close, ends with. */
export function closed(): UnmaskError {
  return new UnmaskError({
    code: "thread_closed",
    message: "the inference thread is closed",
    fix: "open another one",
    status: 503,
  });
}
