/** Calls, iterations, errors and ends of a thread. */
import { afterEach, describe, expect, it } from "vitest";
import { UnmaskError } from "../../../core/errors.ts";
import { openThread, type Thread, type ThreadOptions, transferred } from "../../../core/engine/thread.ts";
import type { Calls } from "./threads/calls.ts";

const url = (name: string) => new URL(`./threads/${name}.ts`, import.meta.url);
const open: Thread<Calls>[] = [];

async function calls(options: ThreadOptions = {}): Promise<Thread<Calls>> {
  const thread = await openThread<Calls>(url("calls"), options);
  open.push(thread);
  return thread;
}

afterEach(async () => {
  for (const thread of open.splice(0)) await thread.close().catch(() => undefined);
});

describe("calls", () => {
  it("answers each with its own answer, however many are under way", async () => {
    const thread = await calls();
    const sums = await Promise.all(Array.from({ length: 50 }, (_, i) => thread.call("add", i, 1000)));
    expect(sums).toEqual(Array.from({ length: 50 }, (_, i) => i + 1000));
  });

  it("copies arrays, and moves them where it is told to", async () => {
    const thread = await calls();
    const kept = Float32Array.of(1, 2);
    expect(await thread.call("double", kept)).toEqual(Float32Array.of(2, 4));
    expect(kept.length).toBe(2);
    const given = Float32Array.of(3, 4);
    const { data } = await thread.call("move", transferred(given, [given.buffer]));
    expect(data).toEqual(Float32Array.of(3, 4));
    expect(given.length).toBe(0);
  });

  it("keeps code, fix, param and status of an error", async () => {
    const thread = await calls();
    const error = await thread.call("refuse").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnmaskError);
    expect(error).toMatchObject({
      code: "steps_out_of_range",
      message: "0 steps",
      fix: "use 1",
      param: "steps",
      status: 422,
    });
    await expect(thread.call("crash")).rejects.toMatchObject({ name: "RangeError", message: "plain" });
    await expect(thread.call("uncloneable")).rejects.toMatchObject({ name: "DataCloneError" });
    await expect(thread.call("missing" as "add", 1, 2)).rejects.toMatchObject({ code: "thread_call_unknown" });
    await expect(thread.call("toString" as "add", 1, 2)).rejects.toMatchObject({ code: "thread_call_unknown" });
    expect(await thread.call("add", 1, 1)).toBe(2);
  });

  it("does not mix up calls and iterations", async () => {
    const thread = await calls();
    await expect(thread.call("count", 3)).rejects.toMatchObject({ code: "thread_call_mismatch" });
    await expect(thread.iterate("add", 1, 2).next()).rejects.toMatchObject({ code: "thread_call_mismatch" });
  });
});

describe("iterations", () => {
  it("computes an item only when asked", async () => {
    const thread = await calls();
    const items = thread.iterate("count", 5);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    expect(await thread.call("counters")).toEqual({ steps: 1, ended: 0 });
    const rest: number[] = [];
    for await (const item of items) rest.push(item);
    expect(rest).toEqual([2, 3, 4, 5]);
    expect(await thread.call("counters")).toEqual({ steps: 5, ended: 1 });
  });

  it("ends in the thread when its reader leaves", async () => {
    const thread = await calls();
    for await (const item of thread.iterate("count", 100)) if (item === 3) break;
    expect(await thread.call("counters")).toEqual({ steps: 3, ended: 1 });
  });

  it("passes on an error from the middle", async () => {
    const thread = await calls();
    const seen: number[] = [];
    const all = async () => {
      for await (const item of thread.iterate("fail")) seen.push(item);
    };
    await expect(all()).rejects.toMatchObject({ code: "half_way" });
    expect(seen).toEqual([1]);
  });

  it("cut off by a close ends with an error, not as if it were complete", async () => {
    const thread = await calls();
    const items = thread.iterate("count", 5);
    await items.next();
    await thread.close();
    await expect(items.next()).rejects.toMatchObject({ code: "thread_closed" });
  });
});

describe("ends", () => {
  it.each(
    [
      ["explode", /boom/],
      ["exit", /ended itself/],
      ["leave", /ended itself/],
    ] as const,
  )("%s rejects all that is under way and all that comes after", async (how, text) => {
    const thread = await calls();
    const waiting = [thread.call("forever"), thread.call("wait", 60_000), thread.iterate("count", 2).next()];
    await waiting[2];
    const settled = Promise.allSettled(waiting);
    await thread.call(how).catch(() => undefined);
    const [forever, wait] = await settled;
    for (const result of [forever, wait]) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "thread_died", status: 503 } });
    }
    expect(thread.death?.message).toMatch(text);
    await expect(thread.call("add", 1, 2)).rejects.toBe(thread.death);
    await thread.close();
  });

  it("close lets calls finish, then refuses", async () => {
    const thread = await calls();
    const waited = thread.call("wait", 100);
    const end = thread.close();
    await expect(thread.call("add", 1, 2)).rejects.toMatchObject({ code: "thread_closed" });
    expect(await waited).toBe("waited");
    await end;
    await thread.close();
    await expect(thread.call("add", 1, 2)).rejects.toMatchObject({ code: "thread_closed" });
  });

  it("close waits no longer than it was told", async () => {
    const thread = await calls({ closeTimeout: 50 });
    const forever = thread.call("forever").catch((thrown: unknown) => thrown);
    await thread.close();
    expect(await forever).toMatchObject({ code: "thread_closed" });
  });

  it("close passes on an error of onClose", async () => {
    const thread = await calls();
    for await (const _ of thread.iterate("count", 1000));
    await expect(thread.close()).rejects.toMatchObject({ code: "close_failed" });
  });

  it("a module that throws, hangs or does not exist is no thread", async () => {
    const failed = { code: "thread_start_failed", status: 503 };
    await expect(openThread(url("broken"))).rejects.toMatchObject({ ...failed, message: /cannot begin/ });
    await expect(openThread(url("absent"))).rejects.toMatchObject(failed);
    const silent = openThread(url("silent"), { startTimeout: 300 });
    await expect(silent).rejects.toMatchObject({ ...failed, message: /not ready within 300 ms/ });
  });
});

it("a thread has the permissions that it was given and no others", async () => {
  const names = ["read", "write", "net", "ffi", "run", "env", "sys"] as const;
  const none = await calls();
  expect(new Set(await none.call("permissions", names))).not.toContain("granted");
  const reader = await calls({ permissions: { read: true } });
  const [read, ...rest] = await reader.call("permissions", names);
  expect(read).toBe("granted");
  expect(new Set(rest)).not.toContain("granted");
});
