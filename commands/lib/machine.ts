/**
 * The machine that doctor examines.
 *
 * @module
 */
import { cpuModel, defaultThreads } from "../../core/engine/threads.ts";

export interface MachineFacts {
  readonly os: string;
  readonly arch: string;
  readonly deno: string;
  readonly v8: string;
  readonly cpu: string;
  /** Logical CPUs that this process may use. */
  readonly cpus: number;
  /** What the CPU providers take when nobody says. */
  readonly threads: number;
  readonly threads_source: string;
  /** Bytes. */
  readonly memory_total: number;
  readonly memory_available: number;
}

export async function describeMachine(): Promise<MachineFacts> {
  const { threads, source } = await defaultThreads();
  const memory = Deno.systemMemoryInfo();
  return {
    os: Deno.build.os,
    arch: Deno.build.arch,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    cpu: await cpuModel(),
    cpus: navigator.hardwareConcurrency,
    threads,
    threads_source: source,
    memory_total: memory.total,
    memory_available: memory.available,
  };
}
