/**
 * How many threads a CPU provider uses when nobody says.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";

export interface ThreadDefault {
  readonly threads: number;
  /** How the number was found, for doctor. */
  readonly source: string;
}

/**
 * One thread a physical core, at most what this process may use. Linux tells the topology only to a process with all
 * permissions; elsewhere the number is that of the logical CPUs that the process may use (affinity and quota counted).
 */
export async function defaultThreads(): Promise<ThreadDefault> {
  const logical = Math.max(1, navigator.hardwareConcurrency);
  const physical = await physicalCores();
  if (physical === undefined || physical >= logical) return { threads: logical, source: "logical CPUs" };
  return { threads: physical, source: "physical cores" };
}

/** @throws `threads_out_of_range` */
export function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= 256) return threads;
  throw new UnmaskError({
    code: "threads_out_of_range",
    message: `threads is ${threads}`,
    fix: "use a whole number from 1 to 256",
    param: "threads",
  });
}

async function physicalCores(): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const text = await Deno.readTextFile("/proc/cpuinfo");
    const packages = text.match(/^physical id.*$/gm) ?? [];
    const cores = text.match(/^core id.*$/gm) ?? [];
    if (cores.length === 0 || packages.length !== cores.length) return undefined;
    return new Set(cores.map((core, index) => `${packages[index]} ${core}`)).size;
  } catch {
    // Not permitted, or no such file: the caller falls to the number of logical CPUs and says so.
    return undefined;
  }
}

/** The CPU's model name; needs `--allow-sys=cpus`, else only the architecture is known. */
export async function cpuModel(): Promise<string> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "cpus" });
  if (state !== "granted") return `${Deno.build.arch} CPU`;
  const { cpus } = await import("node:os");
  return cpus()[0]?.model.trim() ?? `${Deno.build.arch} CPU`;
}
