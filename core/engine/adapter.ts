/**
 * The WebGPU adapter that Deno offers, described without loading a runtime.
 *
 * @module
 */
import type { Finding } from "./provider.ts";

/** Names under which software renderers go. */
const SOFTWARE = /llvmpipe|lavapipe|softpipe|swiftshader|basic render|\bwarp\b|software/i;

export interface AdapterFacts {
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** A CPU that plays a GPU; counts as no GPU unless asked for. */
  readonly software: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

type AdapterNames = Pick<GPUAdapterInfo, "description" | "vendor" | "architecture" | "device" | "isFallbackAdapter">;

export function isSoftware(info: AdapterNames): boolean {
  return info.isFallbackAdapter || SOFTWARE.test(`${info.description} ${info.vendor} ${info.architecture}`);
}

/** null where there is no WebGPU, or no adapter behind it. */
export async function findAdapter(): Promise<AdapterFacts | null> {
  const gpu: GPU | undefined = navigator.gpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return null;
  const { info } = adapter;
  const limits: Record<string, number> = {};
  for (const name of Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(adapter.limits)))) {
    const value: unknown = Reflect.get(adapter.limits, name);
    if (typeof value === "number") limits[name] = value;
  }
  return {
    description: info.description,
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    software: isSoftware(info),
    features: [...adapter.features].sort(),
    limits,
  };
}

/** Whether software adapters are asked for by `UNMASK_ALLOW_SOFTWARE_GPU=1`. */
export async function softwareAllowedByEnvironment(): Promise<boolean> {
  const name = "UNMASK_ALLOW_SOFTWARE_GPU";
  const { state } = await Deno.permissions.query({ name: "env", variable: name });
  return state === "granted" && ["1", "true"].includes(Deno.env.get(name) ?? "");
}

/** `software`: whether a software adapter would do. */
export function judgeAdapter(adapter: AdapterFacts | null, software: boolean): Finding {
  const provider = "webgpu";
  if (adapter === null) {
    return {
      provider,
      usable: false,
      reason: "there is no WebGPU adapter",
      fix: "install a Vulkan driver (libvulkan1 and the GPU's own); in containers see the hints of `deno task doctor`",
    };
  }
  if (adapter.software && !software) {
    return {
      provider,
      usable: false,
      reason: `the only adapter is software: ${adapter.description}`,
      fix: "set UNMASK_ALLOW_SOFTWARE_GPU=1 to use it all the same, or use cpu, which is faster",
    };
  }
  const kind = adapter.software ? "a software adapter, asked for" : "a hardware adapter";
  return { provider, usable: true, reason: `${kind}: ${adapter.description}` };
}
