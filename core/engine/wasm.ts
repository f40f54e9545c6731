/**
 * onnxruntime-web's wasm build: for isolates without native addons. Needs no permission but to read node_modules.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { runtimeError } from "./ort.ts";
import { OrtEngine } from "./ort_engine.ts";
import { prove } from "./proof.ts";
import { type Finding, modulesPermission, runtimeVersion, unavailable } from "./provider.ts";
import { checkThreads, cpuModel, defaultThreads } from "./threads.ts";
import type { Engine } from "./types.ts";

/** The runtime takes its thread count once a thread of ours; a second engine cannot have another one. */
let fixedThreads: number | undefined;

export async function findWasm(): Promise<Finding> {
  const provider = "wasm";
  if (typeof WebAssembly === "undefined") {
    return { provider, usable: false, reason: "there is no WebAssembly here" };
  }
  if (await modulesPermission("read")) return { provider, usable: true, reason: "WebAssembly runs everywhere" };
  return {
    provider,
    usable: false,
    reason: "no read permission on node_modules, where its wasm file lies",
    fix: "run with --allow-read=node_modules, as the tasks of deno.json do",
  };
}

/** @throws `wasm_unavailable`, `threads_fixed`, `threads_unavailable`, `threads_out_of_range` */
export async function openWasm(options: { readonly threads?: number }): Promise<Engine> {
  const finding = await findWasm();
  if (!finding.usable) throw unavailable("wasm_unavailable", finding);
  const parallel = typeof Worker === "function" && typeof SharedArrayBuffer === "function";
  const threads = checkThreads(options.threads ?? (parallel ? (await defaultThreads()).threads : 1));
  if (fixedThreads !== undefined && threads !== fixedThreads) {
    throw new UnmaskError({
      code: "threads_fixed",
      message: `the wasm runtime of this thread already has ${fixedThreads} threads and cannot have ${threads}`,
      fix: `ask for ${fixedThreads}, or open the engine in another thread`,
      param: "threads",
      status: 500,
    });
  }
  const ort = await import("onnxruntime-web").catch((cause) => {
    throw runtimeError("wasm_unavailable", "onnxruntime-web does not load", "run `deno install`", cause);
  });
  ort.env.wasm.numThreads = fixedThreads = threads;
  const engine = new OrtEngine({
    ort,
    info: {
      provider: "wasm",
      runtime: `onnxruntime-web ${runtimeVersion(ort.env, "web")}`,
      device: await cpuModel(),
      software: false,
      threads,
    },
    sessionOptions: {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      logSeverityLevel: 3,
    },
    location: "cpu",
  });
  await prove(engine);
  // Where it cannot start threads the runtime goes on with one and lowers the number.
  if (ort.env.wasm.numThreads !== threads) {
    throw new UnmaskError({
      code: "threads_unavailable",
      message: `the wasm runtime took ${ort.env.wasm.numThreads} threads, not ${threads}`,
      fix: "ask for 1 thread",
      param: "threads",
      status: 503,
    });
  }
  return engine;
}
