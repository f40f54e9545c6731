/**
 * What a provider's file offers to `choose.ts`.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Provider } from "./types.ts";

/** Whether a provider can be used here, found out without loading a runtime. */
export interface Finding {
  readonly provider: Provider;
  readonly usable: boolean;
  /** One sentence: what was found, or what is missing. */
  readonly reason: string;
  /** What to do about what is missing. */
  readonly fix?: string;
}

/** The version that a bundle of onnxruntime says it has, if its `env` says so. */
export function runtimeVersion(env: { readonly versions: object }, key: "node" | "web"): string {
  const version: unknown = Reflect.get(env.versions, key);
  return typeof version === "string" ? version : "of unknown version";
}

/** The folder that npm packages are read from; providers need `read` on it, and the CPU provider `ffi` too. */
export const MODULES = new URL("../../node_modules", import.meta.url);

export async function modulesPermission(name: "read" | "ffi"): Promise<boolean> {
  return (await Deno.permissions.query({ name, path: MODULES })).state === "granted";
}

export function unavailable(code: string, finding: Finding, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code,
    message: `the ${finding.provider} provider cannot be used: ${finding.reason}`,
    fix: finding.fix ?? "use another provider; `deno task doctor` shows which work",
    param: "provider",
    status: 503,
    cause,
  });
}
