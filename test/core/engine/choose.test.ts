/** Which provider is taken, and what is said when it cannot be. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type AdapterFacts, isSoftware, judgeAdapter } from "../../../core/engine/adapter.ts";
import { chooseProvider, openEngine } from "../../../core/engine/choose.ts";
import { enginePermissions } from "../../../core/engine/permissions.ts";
import { openThread, type ThreadOptions } from "../../../core/engine/thread.ts";
import type { Provider } from "../../../core/engine/types.ts";
import { describeWebGpu } from "./adapter.ts";
import type { Compute } from "./threads/compute.ts";

const info = (description: string, isFallbackAdapter = false) => ({
  description,
  vendor: "65541",
  architecture: "",
  device: "0",
  isFallbackAdapter,
});

const facts = (software: boolean): AdapterFacts => ({ ...info("one", false), software, features: [], limits: {} });

describe("an adapter", () => {
  it.each([
    ["llvmpipe (LLVM 15.0.6, 256 bits)", false, true],
    ["SwiftShader Device (Subzero)", false, true],
    ["Microsoft Basic Render Driver", false, true],
    ["an honest one", true, true],
    ["NVIDIA L4", false, false],
    ["AMD Radeon RX 7900 XTX (RADV NAVI31)", false, false],
    ["Apple M3", false, false],
  ])("%s, fallback %s: software %s", (name, fallback, software) => {
    expect(isSoftware(info(name, fallback))).toBe(software);
  });

  it("counts only if it is hardware or software was asked for", () => {
    expect(judgeAdapter(facts(false), false).usable).toBe(true);
    expect(judgeAdapter(facts(true), true).usable).toBe(true);
    expect(judgeAdapter(facts(true), false)).toMatchObject({ usable: false, fix: /UNMASK_ALLOW_SOFTWARE_GPU=1/ });
    expect(judgeAdapter(null, true)).toMatchObject({ usable: false, fix: /Vulkan/ });
  });
});

/** Runs `open` in a thread with these permissions: what it opened, or the error. */
async function inThread(provider: Provider | "auto", permissions: ThreadOptions["permissions"]) {
  const thread = await openThread<Compute>(new URL("./threads/compute.ts", import.meta.url), {
    ...(permissions === undefined ? {} : { permissions }),
  });
  try {
    return await thread.call("open", { provider, threads: 1 });
  } finally {
    await thread.close();
  }
}

describe("permissions", () => {
  it("auto takes cpu where native addons are allowed and there is no GPU, wasm where they are not", async () => {
    const full = await enginePermissions();
    const gpu = (await chooseProvider()).provider === "webgpu";
    expect((await inThread("auto", full)).provider).toBe(gpu ? "webgpu" : "cpu");
    expect((await inThread("auto", { ...full, ffi: false })).provider).toBe(gpu ? "webgpu" : "wasm");
  });

  it("wasm needs nothing but to read node_modules", async () => {
    const { read } = await enginePermissions();
    expect(read).toBeDefined();
    expect((await inThread("wasm", { ...(read === undefined ? {} : { read }) })).provider).toBe("wasm");
  });

  it("a provider that was asked for and is not there is an error, never another provider", async () => {
    const full = await enginePermissions();
    await expect(inThread("cpu", { ...full, ffi: false })).rejects.toMatchObject({
      code: "cpu_unavailable",
      message: "the cpu provider cannot be used: native addons are not allowed: no ffi permission on node_modules",
      fix: "run with --allow-ffi=node_modules, as the tasks of deno.json do, or use wasm",
      param: "provider",
      status: 503,
    });
    await expect(inThread("wasm", "none")).rejects.toMatchObject({
      code: "wasm_unavailable",
      fix: /--allow-read=node_modules/,
    });
    await expect(inThread("auto", "none")).rejects.toMatchObject({ code: expect.stringMatching(/no_provider|webgpu/) });
  });

  it("an unknown provider is named", async () => {
    await expect(openEngine({ provider: "cuda" as Provider })).rejects.toMatchObject({
      code: "unknown_provider",
      message: 'there is no provider "cuda"',
      fix: "use auto, webgpu, cpu or wasm",
    });
  });
});

describeWebGpu("a software adapter", () => {
  it("is refused unless asked for, by option or by environment", async () => {
    const adapter = await navigator.gpu.requestAdapter();
    if (adapter === null || !isSoftware(adapter.info)) return expect(adapter).not.toBeNull();
    const ask = (allowSoftwareAdapter?: boolean) =>
      openEngine({ provider: "webgpu", ...(allowSoftwareAdapter === undefined ? {} : { allowSoftwareAdapter }) });
    await expect(ask(false)).rejects.toMatchObject({
      code: "webgpu_unavailable",
      message: /the only adapter is software/,
    });
    Deno.env.delete("UNMASK_ALLOW_SOFTWARE_GPU");
    await expect(ask()).rejects.toMatchObject({ code: "webgpu_unavailable" });
    Deno.env.set("UNMASK_ALLOW_SOFTWARE_GPU", "1");
    try {
      const engine = await ask();
      expect(engine.info).toMatchObject({ provider: "webgpu", software: true, device: adapter.info.description });
      await engine.close();
      expect((await chooseProvider()).provider).not.toBe("webgpu");
    } finally {
      Deno.env.delete("UNMASK_ALLOW_SOFTWARE_GPU");
    }
  });
});

describe("imports of onnxruntime", () => {
  const root = new URL("../../../", import.meta.url);
  const sources = ["commands", "core", "functions", "kernels"].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => ({ name: `${folder}/${name}`, text: readFileSync(new URL(`${folder}/${name}`, root), "utf8") }))
  );

  it("are in core/engine only, one file a provider, and dynamic: none loads another's runtime", () => {
    const found = sources.flatMap(({ name, text }) =>
      [...text.matchAll(/^.*(?:from|import\()\s*"onnxruntime[^"]*".*$/gm)]
        .map(([line]) => ({ name, line: line.trim() }))
        .filter(({ line }) => !line.startsWith("import type "))
    );
    expect(found.map(({ name }) => name).sort()).toEqual([
      "core/engine/cpu.ts",
      "core/engine/wasm.ts",
      "core/engine/webgpu.ts",
    ]);
    for (const { line } of found) expect(line).toMatch(/import\("onnxruntime/);
  });
});
