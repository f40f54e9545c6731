/**
 * `deno task doctor`: what can compute here, what it says of itself, whether its numbers are right, and what to do about
 * what is missing.
 *
 * @module
 */
import { type AdapterFacts, findAdapter } from "../core/engine/adapter.ts";
import { findProviders } from "../core/engine/choose.ts";
import type { Finding } from "../core/engine/provider.ts";
import type { Provider } from "../core/engine/types.ts";
import { UnmaskError } from "../core/errors.ts";
import { openInference } from "../core/tasks/remote.ts";
import { type Command, type JsonLine, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { describeMachine, type MachineFacts } from "./lib/machine.ts";
import { DEFAULT_MODEL, MODEL_FLAGS, requireModelFolder } from "./lib/model.ts";
import { probe, type ProviderReport } from "./lib/probe.ts";
import { findVulkan, vulkanAdvice, type VulkanFacts } from "./lib/vulkan.ts";

export const DOCTOR_FLAGS = { model: MODEL_FLAGS.model, ...COMMON_FLAGS } as const;

/** Where one graph of the model runs. */
export interface GraphReport {
  readonly graph: string;
  /** Of all of its nodes: the engine refuses to load a graph that is only partly on its provider. */
  readonly provider: Provider;
  /** Bytes of its weights in memory. */
  readonly bytes: number;
  /** Why some of its nodes run on the CPU all the same; absent: none does. */
  readonly cpu_nodes?: string;
}

/** Loads what a model draws with on a provider and says where each graph runs. */
export type GraphsOf = (provider: Provider, modelFolder: string) => Promise<readonly GraphReport[]>;

/** The line of `--json`. */
export interface DoctorReport extends JsonLine {
  readonly machine: MachineFacts;
  /** What `auto` takes (null: nothing can compute), and what it found of each. */
  readonly auto: { readonly provider: Provider | null; readonly findings: readonly Finding[] };
  readonly providers: readonly ProviderReport[];
  /** WebGPU's adapter in its own words; null where there is none. */
  readonly adapter: AdapterFacts | null;
  readonly vulkan: VulkanFacts;
  /** What the model draws with, on the provider that `auto` takes; null if it was not or could not be loaded. */
  readonly graphs: readonly GraphReport[] | null;
  readonly advice: readonly string[];
}

/** The parts that a test may replace. */
export interface Examination {
  readonly describeMachine: () => Promise<MachineFacts>;
  readonly findAdapter: () => Promise<AdapterFacts | null>;
  readonly findVulkan: () => Promise<VulkanFacts>;
  readonly findProviders: () => Promise<readonly Finding[]>;
  readonly probe: (provider: Provider, threads: number) => Promise<ProviderReport>;
  readonly graphsOf: GraphsOf;
}

/** As a draw would: in its thread, with the parts that drawing needs. @throws {UnmaskError} what `openInference` throws */
async function graphsOfModel(provider: Provider, modelFolder: string): Promise<readonly GraphReport[]> {
  await requireModelFolder({ modelFolder });
  const inference = await openInference({ modelFolder, provider });
  try {
    const { loaded, provider: used } = inference.info;
    return loaded.map(({ graph, bytes, cpuNodes }) => ({
      graph,
      provider: used,
      bytes,
      ...(cpuNodes === undefined ? {} : { cpu_nodes: cpuNodes }),
    }));
  } finally {
    await inference.close();
  }
}

export const THIS_MACHINE: Examination = {
  describeMachine,
  findAdapter,
  findVulkan,
  findProviders,
  probe,
  graphsOf: graphsOfModel,
};

/**
 * The command. When nothing can compute, what `auto` would take does not work, or the model does not load there,
 * it fails, and its line of JSON is the whole report with the error.
 */
export function doctorCommand(examine: Examination = THIS_MACHINE): Command {
  return async (args, { output, signal, announce }) => {
    const { flags } = parseFlags(args, DOCTOR_FLAGS);
    if (flags.help) {
      output.stderr(`${usage("doctor [flags]", DOCTOR_FLAGS)}\n`);
      return { help: true };
    }
    const tell = (text: string) => output.stderr(`${text}\n`);
    const machine = await examine.describeMachine();
    tellMachine(machine, tell);
    const adapter = await examine.findAdapter();
    const vulkan = await examine.findVulkan();
    tellAdapter(adapter, vulkan, tell);
    const findings = await examine.findProviders();
    const provider = findings.find(({ usable }) => usable)?.provider ?? null;
    const providers: ProviderReport[] = [];
    for (const each of ["webgpu", "cpu", "wasm"] as const) {
      signal.throwIfAborted();
      const report = await examine.probe(each, machine.threads);
      providers.push(report);
      tellProvider(report, tell);
    }
    tell(`auto takes ${provider ?? "nothing"}`);
    const sick = ailment(provider, providers);
    signal.throwIfAborted();
    const folder = flags.model ?? DEFAULT_MODEL;
    const model = sick === undefined && provider !== null
      ? await loadGraphs(() => examine.graphsOf(provider, folder))
      : undefined;
    const error = sick ?? model?.error;
    const graphs = model?.graphs ?? null;
    for (const { graph, provider, bytes, cpu_nodes } of graphs ?? []) {
      const beside = cpu_nodes === undefined ? "" : `; some nodes on the CPU: ${cpu_nodes}`;
      tell(`graph ${graph}: ${provider}, ${(bytes / 1e6).toFixed(1)} MB of weights${beside}`);
    }
    const advice = adviseOn(adapter, vulkan, machine, providers);
    for (const line of advice) tell(`hint: ${line}`);
    const report: DoctorReport = { machine, auto: { provider, findings }, providers, adapter, vulkan, graphs, advice };
    if (error === undefined) return report;
    const { code, message, fix } = error;
    announce({ ...report, error: { code, message, fix } });
    throw error;
  };
}

/** A model that does not load is a finding of the report, not the end of it. */
async function loadGraphs(
  graphsOf: () => Promise<readonly GraphReport[]>,
): Promise<{ readonly graphs?: readonly GraphReport[]; readonly error?: UnmaskError }> {
  try {
    return { graphs: await graphsOf() };
  } catch (error) {
    if (error instanceof UnmaskError) return { error };
    throw error;
  }
}

/** What to do about what is missing; nothing on a machine with a GPU and working providers. */
function adviseOn(
  adapter: AdapterFacts | null,
  vulkan: VulkanFacts,
  machine: MachineFacts,
  providers: readonly ProviderReport[],
): string[] {
  const advice = adapter === null || adapter.software ? vulkanAdvice(vulkan, machine.os) : [];
  for (const { provider, error } of providers) if (error !== undefined) advice.push(`${provider}: ${error.fix}`);
  return advice;
}

function ailment(auto: Provider | null, providers: readonly ProviderReport[]): UnmaskError | undefined {
  if (auto === null) {
    return new UnmaskError({
      code: "no_provider",
      message: "nothing here can compute",
      fix: "see the hints above",
      status: 503,
    });
  }
  const error = providers.find(({ provider }) => provider === auto)?.error;
  if (error === undefined) return undefined;
  return new UnmaskError({
    code: "provider_unhealthy",
    message: `auto would take ${auto}, which does not work: ${error.message}`,
    fix: error.fix,
    status: 503,
  });
}

function tellMachine(machine: MachineFacts, tell: (text: string) => void): void {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  tell(`Deno ${machine.deno}, ${machine.os} ${machine.arch}`);
  tell(`CPU ${machine.cpu}, ${machine.cpus} usable, ${machine.threads} threads by default (${machine.threads_source})`);
  tell(`memory ${gigabytes(machine.memory_total)}, available ${gigabytes(machine.memory_available)}`);
}

function tellAdapter(adapter: AdapterFacts | null, vulkan: VulkanFacts, tell: (text: string) => void): void {
  if (adapter === null) tell("WebGPU adapter: none");
  else {
    const kind = adapter.software ? " (software: counts as no GPU)" : "";
    tell(`WebGPU adapter: ${adapter.description}${kind}, vendor ${adapter.vendor || "not named"}`);
    tell(`  features ${adapter.features.join(", ") || "none"}`);
    for (const name of ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeInvocationsPerWorkgroup"]) {
      tell(`  ${name} ${adapter.limits[name] ?? "not told"}`);
    }
  }
  if (vulkan.drivers.length > 0) tell(`Vulkan drivers: ${vulkan.drivers.join(", ")}`);
  for (const [name, value] of Object.entries(vulkan.variables)) tell(`  ${name}=${value}`);
}

function tellProvider(report: ProviderReport, tell: (text: string) => void): void {
  if (report.error !== undefined) return tell(`${report.provider}: not available. ${report.error.message}`);
  const error = report.max_error?.toExponential(1);
  tell(
    `${report.provider}: ${report.runtime} on ${report.device}, ${report.threads} threads, opened in ` +
      `${report.open_seconds} s, computes right (error ${error})`,
  );
}

if (import.meta.main) await main(doctorCommand());
