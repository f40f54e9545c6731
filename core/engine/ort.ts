/**
 * What onnxruntime-node and onnxruntime-web have in common, and what a provider must bring along to become an engine.
 *
 * @module
 */
import type * as Ort from "onnxruntime-web";
import { UnmaskError } from "../errors.ts";
import type { EngineInfo, HostTensor } from "./types.ts";

export type OrtModule = Pick<typeof Ort, "InferenceSession" | "Tensor">;
export type OrtTensor = Ort.Tensor;
export type OrtSession = Ort.InferenceSession;
export type OrtSessionOptions = Ort.InferenceSession.SessionOptions;

export interface Runtime {
  readonly ort: OrtModule;
  readonly info: EngineInfo;
  /** Explicit and the same for every session, so that the same run gives the same bits. */
  readonly sessionOptions: OrtSessionOptions;
  /** Where outputs must lie. An output found anywhere else is an error: the proof against a silent fall to the CPU. */
  readonly location: "cpu" | "gpu-buffer";
  /** The device that the runtime computes on, once it has a session. Only with `location: "gpu-buffer"`. */
  readonly device?: () => Promise<GPUDevice>;
  /** Copies GPU outputs to the host, all in one read. Only with `location: "gpu-buffer"`. */
  readonly download?: (tensors: readonly OrtTensor[]) => Promise<readonly HostTensor[]>;
  /** Folder for a profile of each session, in the runtime's own JSON, written when the session is released. */
  readonly profile?: string;
  /** Why the device is gone, once it is. */
  readonly lost?: () => string | undefined;
  /** The same after a failure, whose cause may be told a moment later than the failure itself. */
  readonly lostSoon?: () => Promise<string | undefined>;
}

/** What everything on a lost device answers with. */
export function deviceLost(why: string): UnmaskError {
  return new UnmaskError({
    code: "gpu_device_lost",
    message: `the GPU device is gone: ${why}`,
    fix: "nothing, if runs go on by themselves; else restart the worker, they go on from their last record",
    status: 503,
  });
}

/** `error`, or the loss of the device that is behind it. */
export async function orLoss({ lostSoon }: Runtime, error: UnmaskError): Promise<UnmaskError> {
  const why = await lostSoon?.();
  return why === undefined ? error : deviceLost(why);
}

/** An exception of the runtime with a code; its paths (of the machine that built it, or of this one) are cut. */
export function runtimeError(code: string, what: string, fix: string, cause: unknown): UnmaskError {
  if (cause instanceof UnmaskError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const bare = text.replace(/(?:file:\/\/)?(?:\/[\w.@+-]+){2,}/g, (path) => path.slice(path.lastIndexOf("/") + 1));
  return new UnmaskError({ code, message: `${what}: ${bare.trim().split("\n")[0]}`, fix, status: 500, cause });
}
