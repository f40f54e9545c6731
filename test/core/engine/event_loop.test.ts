/** While the inference thread computes, the main thread's event loop goes on as if nothing were. */
import { describe, expect, it } from "vitest";
import { enginePermissions } from "../../../core/engine/permissions.ts";
import { openThread } from "../../../core/engine/thread.ts";
import type { EngineOptions } from "../../../core/engine/choose.ts";
import { describeWebGpu } from "./adapter.ts";
import type { Calls } from "./threads/calls.ts";
import type { Compute } from "./threads/compute.ts";

/** The longest pause, in ms, that a timer of 5 ms saw while `work` was under way. */
async function worstGap(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now();
  let worst = 0;
  const tick = () => {
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
  };
  const timer = setInterval(tick, 5);
  try {
    await work();
  } finally {
    tick();
    clearInterval(timer);
  }
  return worst;
}

const rest = () => new Promise((resolve) => setTimeout(resolve, 1000));
const allowed = (idle: number) => Math.max(3 * idle, 100);

async function computing(options: EngineOptions, layers: number): Promise<void> {
  const permissions = await enginePermissions();
  const thread = await openThread<Compute>(new URL("./threads/compute.ts", import.meta.url), { permissions });
  try {
    const info = await thread.call("open", options);
    expect(info.provider).toBe(options.provider);
    const idle = await worstGap(rest);
    let runs = 0;
    const busy = await worstGap(async () => runs = await thread.call("compute", 1500, layers));
    expect(runs).toBeGreaterThan(0);
    console.info(`${info.provider}: worst gap ${busy.toFixed(1)} ms in ${runs} runs, idle ${idle.toFixed(1)} ms`);
    expect(busy, `worst gap ${busy} ms, idle ${idle} ms`).toBeLessThan(allowed(idle));
  } finally {
    await thread.close();
  }
}

describe("main's event loop", () => {
  it("is seen to stop when something does block it", async () => {
    const idle = await worstGap(rest);
    const blocked = await worstGap(async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const end = performance.now() + 4 * allowed(idle);
      while (performance.now() < end);
    });
    expect(blocked).toBeGreaterThan(allowed(idle));
  });

  it("goes on while a thread spins", async () => {
    const thread = await openThread<Calls>(new URL("./threads/calls.ts", import.meta.url));
    const idle = await worstGap(rest);
    expect(await worstGap(() => thread.call("spin", 1000))).toBeLessThan(allowed(idle));
    await thread.close();
  });

  it("goes on while cpu computes", () => computing({ provider: "cpu", threads: 1 }, 40));
  it("goes on while wasm computes", () => computing({ provider: "wasm", threads: 1 }, 10));
});

describeWebGpu("main's event loop, webgpu", () => {
  it("goes on while the GPU computes", () => computing({ provider: "webgpu", allowSoftwareAdapter: true }, 1));
});
