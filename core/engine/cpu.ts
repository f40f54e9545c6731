/**
 * onnxruntime-node on the CPU: the embedded default where native addons are allowed.
 *
 * @module
 */
import type { OrtModule } from "./ort.ts";
import { runtimeError } from "./ort.ts";
import { OrtEngine } from "./ort_engine.ts";
import { prove } from "./proof.ts";
import { type Finding, modulesPermission, runtimeVersion, unavailable } from "./provider.ts";
import { checkThreads, cpuModel, defaultThreads } from "./threads.ts";
import type { Engine } from "./types.ts";

/** Operating system and architecture for which onnxruntime-node 1.30 brings a binary. */
const BINARIES = ["linux-x86_64", "linux-aarch64", "darwin-aarch64", "windows-x86_64", "windows-aarch64"];

export async function findCpu(): Promise<Finding> {
  const provider = "cpu";
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  if (!BINARIES.includes(platform)) {
    return { provider, usable: false, reason: `onnxruntime-node has no binary for ${platform}`, fix: "use wasm" };
  }
  for (const name of ["read", "ffi"] as const) {
    if (await modulesPermission(name)) continue;
    return {
      provider,
      usable: false,
      reason: `native addons are not allowed: no ${name} permission on node_modules`,
      fix: `run with --allow-${name}=node_modules, as the tasks of deno.json do, or use wasm`,
    };
  }
  return { provider, usable: true, reason: `native addons are allowed on ${platform}` };
}

export interface CpuOptions {
  readonly threads?: number;
  /** Folder for profiles (ort.ts); profiling costs some per cent. */
  readonly profile?: string;
}

/** @throws `cpu_unavailable`, `threads_out_of_range` */
export async function openCpu(options: CpuOptions): Promise<Engine> {
  const finding = await findCpu();
  if (!finding.usable) throw unavailable("cpu_unavailable", finding);
  const threads = checkThreads(options.threads ?? (await defaultThreads()).threads);
  const ort = await load();
  const engine = new OrtEngine({
    ort,
    info: {
      provider: "cpu",
      runtime: `onnxruntime-node ${runtimeVersion(ort.env, "node")}`,
      device: await cpuModel(),
      software: false,
      threads,
    },
    sessionOptions: {
      executionProviders: ["cpu"],
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      // Threads that wait spin for a while. Within a step that saves time; behind it they would hold the cores that the
      // run's commit, its file and its answer wait for.
      extra: { session: { force_spinning_stop: "1" } },
    },
    location: "cpu",
    ...(options.profile === undefined ? {} : { profile: options.profile }),
  });
  await prove(engine);
  return engine;
}

async function load(): Promise<OrtModule & { readonly env: { readonly versions: object } }> {
  try {
    const ort = await import("onnxruntime-node");
    withoutFloat16Array(() => new ort.Tensor("float32", Float32Array.of(0), [1]));
    return ort;
  } catch (cause) {
    throw runtimeError(
      "cpu_unavailable",
      "onnxruntime-node does not load",
      "run `deno install`; it needs glibc 2.28 or newer; else use wasm",
      cause,
    );
  }
}

/**
 * The addon refuses `Float16Array` (field-notes, row 11), and the JavaScript beside it decides at its first tensor
 * which array type float16 has. At that moment there must be none, so that it takes `Uint16Array`.
 */
function withoutFloat16Array(work: () => void): void {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "Float16Array");
  if (descriptor === undefined) return work();
  Reflect.deleteProperty(globalThis, "Float16Array");
  try {
    work();
  } finally {
    Object.defineProperty(globalThis, "Float16Array", descriptor);
  }
}
