/**
 * Which provider computes. `auto` decides by what is there; a provider that is asked for by name is used or the call
 * fails. Nothing here falls back.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { findAdapter, judgeAdapter } from "./adapter.ts";
import { findCpu, openCpu } from "./cpu.ts";
import type { Finding } from "./provider.ts";
import type { Engine, Provider } from "./types.ts";
import { findWasm, openWasm } from "./wasm.ts";
import { openWebGpu } from "./webgpu.ts";

export interface EngineOptions {
  /** @default {"auto"} */
  readonly provider?: Provider | "auto";
  /** Threads of a CPU provider, 1 to 256. @default one a physical core, see {@link defaultThreads} */
  readonly threads?: number;
  /** Lets `provider: "webgpu"` take a software adapter. @default {UNMASK_ALLOW_SOFTWARE_GPU} */
  readonly allowSoftwareAdapter?: boolean;
}

/** What `auto` found, in its order of preference, and what it takes: the first that is usable. */
export interface Choice {
  readonly provider: Provider;
  readonly findings: readonly Finding[];
}

/** What `auto` looks at, in its order of preference. */
export async function findProviders(): Promise<readonly Finding[]> {
  return [judgeAdapter(await findAdapter(), false), await findCpu(), await findWasm()];
}

/**
 * webgpu if a hardware adapter is there, else cpu if native addons are allowed, else wasm. A software adapter counts as
 * no GPU.
 *
 * @throws `no_provider`
 */
export async function chooseProvider(): Promise<Choice> {
  const findings = await findProviders();
  const first = findings.find(({ usable }) => usable);
  if (first !== undefined) return { provider: first.provider, findings };
  throw new UnmaskError({
    code: "no_provider",
    message: `nothing here can compute: ${findings.map(({ provider, reason }) => `${provider}: ${reason}`).join("; ")}`,
    fix: "run with --allow-read=node_modules --allow-ffi=node_modules, as the tasks of deno.json do",
    status: 503,
  });
}

/**
 * ```ts
 * const engine = await openEngine({ provider: "cpu", threads: 4 });
 * const session = await engine.load(graph);
 * ```
 *
 * @throws `unknown_provider`, `webgpu_unavailable`, `cpu_unavailable`, `wasm_unavailable`, `no_provider`,
 * `threads_out_of_range`, `provider_wrong_numbers`, `provider_mismatch`
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const asked = options.provider ?? "auto";
  const provider = asked === "auto" ? (await chooseProvider()).provider : asked;
  switch (provider) {
    case "webgpu":
      return await openWebGpu(options);
    case "cpu":
      return await openCpu(options);
    case "wasm":
      return await openWasm(options);
    default:
      throw new UnmaskError({
        code: "unknown_provider",
        message: `there is no provider ${JSON.stringify(provider)}`,
        fix: "use auto, webgpu, cpu or wasm",
        param: "provider",
      });
  }
}
