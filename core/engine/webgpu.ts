/**
 * onnxruntime-web's WebGPU build on Deno's `navigator.gpu`. Outputs stay in GPU buffers; whatever goes to the host goes
 * in one read a run, because a read costs at least 10 ms in Deno (field-notes, rows 7 and 8).
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { type AdapterFacts, findAdapter, isSoftware, judgeAdapter, softwareAllowedByEnvironment } from "./adapter.ts";
import { downloader } from "./download.ts";
import { isLavapipe, uniformsAsStorage } from "./lavapipe.ts";
import { runtimeError } from "./ort.ts";
import { OrtEngine } from "./ort_engine.ts";
import { proofGraph, prove } from "./proof.ts";
import { modulesPermission, runtimeVersion, unavailable } from "./provider.ts";
import type { Engine } from "./types.ts";

/** How long a failure waits for the news that its device is lost. */
const LOSS_MILLISECONDS = 100;

/** @throws `webgpu_unavailable`, `provider_mismatch` */
export async function openWebGpu(options: { readonly allowSoftwareAdapter?: boolean }): Promise<Engine> {
  const adapter = await findAdapter();
  const finding = judgeAdapter(adapter, options.allowSoftwareAdapter ?? await softwareAllowedByEnvironment());
  if (!finding.usable || adapter === null) throw unavailable("webgpu_unavailable", finding);
  if (!await modulesPermission("read")) {
    throw unavailable("webgpu_unavailable", {
      ...finding,
      reason: "no read permission on node_modules, where its wasm file lies",
      fix: "run with --allow-read=node_modules, as the tasks of deno.json do",
    });
  }
  const ort = await withoutLocation(() => import("onnxruntime-web/webgpu")).catch((cause) => {
    throw runtimeError("webgpu_unavailable", "onnxruntime-web/webgpu does not load", "run `deno install`", cause);
  });
  ort.env.wasm.numThreads = 1;
  ort.env.webgpu.powerPreference = "high-performance";
  let lost: string | undefined;
  const loss = Promise.withResolvers<void>();
  // The runtime makes its device with its first session.
  const device = async () => checkAdopted(await ort.env.webgpu.device, adapter);
  const engine = new OrtEngine({
    ort,
    info: {
      provider: "webgpu",
      runtime: `onnxruntime-web ${runtimeVersion(ort.env, "web")}`,
      device: adapter.description,
      software: adapter.software,
      threads: 1,
    },
    sessionOptions: {
      executionProviders: ["webgpu"],
      graphOptimizationLevel: "all",
      executionMode: "sequential",
      preferredOutputLocation: "gpu-buffer",
      logSeverityLevel: 3,
    },
    location: "gpu-buffer",
    device,
    download: downloader(device),
    lost: () => lost,
    lostSoon: async () => {
      if (lost !== undefined) return lost;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, LOSS_MILLISECONDS);
      await Promise.race([loss.promise, late.promise]);
      clearTimeout(timer);
      return lost;
    },
  });
  // The runtime destroys its device with its last session: one stays until the engine is closed.
  await engine.load(await proofGraph());
  const adopted = await device();
  // Before the first run, which is what compiles.
  if (isLavapipe(adapter)) uniformsAsStorage(adopted);
  await prove(engine);
  void adopted.lost.then((info) => {
    lost = info.message || info.reason || "no reason given";
    loss.resolve();
  });
  return engine;
}

/** The runtime must compute on the very adapter that was judged, not on another one that it found itself. */
function checkAdopted(device: unknown, adapter: AdapterFacts): GPUDevice {
  if (device instanceof GPUDevice) {
    const { adapterInfo } = device;
    if (adapterInfo.description === adapter.description && isSoftware(adapterInfo) === adapter.software) return device;
  }
  const found = device instanceof GPUDevice ? device.adapterInfo.description : "no GPU device";
  throw new UnmaskError({
    code: "provider_mismatch",
    message: `onnxruntime computes on ${found}, not on ${adapter.description}`,
    fix: "report it with the output of `deno task doctor`",
    status: 500,
  });
}

/**
 * The bundle resolves its own address against `location.origin` when it is loaded, and in a Deno worker that is the
 * string "null". Without a `location`, as in the main thread, it takes its own address.
 */
async function withoutLocation<T>(load: () => Promise<T>): Promise<T> {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "location");
  const location: Location | undefined = globalThis.location;
  if (descriptor === undefined || location?.origin !== "null") return await load();
  Reflect.deleteProperty(globalThis, "location");
  try {
    return await load();
  } finally {
    Object.defineProperty(globalThis, "location", descriptor);
  }
}
