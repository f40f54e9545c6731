/** A thread that the RPC's tests call. */
import { UnmaskError } from "../../../../core/errors.ts";
import { serveThread } from "../../../../core/engine/thread_serve.ts";
import { transferred } from "../../../../core/engine/thread_wire.ts";

let steps = 0;
let ended = 0;

const handlers = {
  add: (a: number, b: number) => a + b,
  double: (data: Float32Array) => data.map((v) => 2 * v),
  move(data: Float32Array<ArrayBuffer>) {
    return transferred({ data }, [data.buffer]);
  },
  async *count(n: number) {
    try {
      for (let i = 1; i <= n; i++) {
        steps++;
        yield i;
      }
    } finally {
      ended++;
    }
  },
  async *fail() {
    yield 1;
    throw new UnmaskError({ code: "half_way", message: "it broke", fix: "mend it" });
  },
  counters: () => ({ steps, ended }),
  refuse() {
    throw new UnmaskError({
      code: "steps_out_of_range",
      message: "0 steps",
      fix: "use 1",
      param: "steps",
      status: 422,
    });
  },
  crash() {
    throw new RangeError("plain");
  },
  uncloneable: () => () => 1,
  wait: (ms: number) => new Promise<string>((resolve) => setTimeout(() => resolve("waited"), ms)),
  forever: () => new Promise<never>(() => {}),
  spin(ms: number) {
    const end = performance.now() + ms;
    while (performance.now() < end);
  },
  /** The next three end the thread, each in another way. */
  explode(): void {
    setTimeout(() => {
      throw new Error("boom");
    });
  },
  exit: () => Deno.exit(3),
  leave: () => self.close(),
  permissions: (names: readonly Deno.PermissionName[]) =>
    names.map((name) => Deno.permissions.querySync({ name }).state),
};

export type Calls = typeof handlers;
serveThread(handlers, () => {
  if (steps === 1000) throw new UnmaskError({ code: "close_failed", message: "no", fix: "none" });
});
