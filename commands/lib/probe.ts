/**
 * Tries one provider in a thread of its own, so that one that hangs or dies takes nothing else with it.
 *
 * @module
 */
import { enginePermissions } from "../../core/engine/permissions.ts";
import { openThread } from "../../core/engine/thread.ts";
import type { Provider } from "../../core/engine/types.ts";
import { UnmaskError } from "../../core/errors.ts";
import type { ProbeHandlers } from "./probe_thread.ts";

/** What a provider really did. Seconds are wall time; `max_error` is against double precision. */
export interface ProviderReport {
  readonly provider: Provider;
  readonly available: boolean;
  readonly runtime?: string;
  readonly device?: string;
  readonly software?: boolean;
  readonly threads?: number;
  readonly max_error?: number;
  readonly open_seconds?: number;
  readonly run_seconds?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly fix: string };
}

/** Milliseconds: a GPU's first pipelines take seconds, a hang takes forever. */
const PATIENCE = 90_000;

/** `threads` goes to the CPU providers. A software adapter is tried too; the report says that it is one. */
export async function probe(provider: Provider, threads: number): Promise<ProviderReport> {
  try {
    const permissions = await enginePermissions();
    const thread = await openThread<ProbeHandlers>(new URL("./probe_thread.ts", import.meta.url), {
      name: `probe ${provider}`,
      permissions,
      closeTimeout: 2000,
    });
    let timer;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(hangs(provider)), PATIENCE);
      });
      const options = { provider, threads, allowSoftwareAdapter: true };
      const { info, maxError, openSeconds, runSeconds } = await Promise.race([thread.call("probe", options), late]);
      const { runtime, device, software, threads: used } = info;
      return {
        provider,
        available: true,
        runtime,
        device,
        software,
        threads: used,
        max_error: maxError,
        open_seconds: Number(openSeconds.toFixed(3)),
        run_seconds: Number(runSeconds.toFixed(4)),
      };
    } finally {
      clearTimeout(timer);
      await thread.close();
    }
  } catch (thrown) {
    if (!(thrown instanceof UnmaskError)) throw thrown;
    const { code, message, fix } = thrown;
    return { provider, available: false, error: { code, message, fix } };
  }
}

function hangs(provider: Provider): UnmaskError {
  return new UnmaskError({
    code: "provider_hangs",
    message: `${provider} did not compute a graph of three operators within ${PATIENCE / 1000} s`,
    fix: "update the driver, or use another provider",
    status: 503,
  });
}
