/**
 * How a command chooses the model that it runs: folder, provider and threads, the same three flags everywhere.
 *
 * @module
 */
import type { Provider } from "../../core/engine/types.ts";
import { UnmaskError } from "../../core/errors.ts";
import type { InferenceOptions, RemoteInference } from "../../core/tasks/remote.ts";
import type { Flag, FlagValues } from "./flags.ts";

/** The embedded model. */
export const DEFAULT_MODEL = "models/scenes";

export const MODEL_FLAGS = {
  model: { kind: "text", help: `the model's folder (default: ${DEFAULT_MODEL})` },
  provider: { kind: "text", help: "webgpu, cpu or wasm (default: the best that this machine has)" },
  threads: { kind: "number", help: "threads of the cpu and wasm providers" },
} as const satisfies Readonly<Record<string, Flag>>;

export type OpenModel = (choice: InferenceOptions) => Promise<RemoteInference>;

const PROVIDERS: readonly Provider[] = ["webgpu", "cpu", "wasm"];

/** @throws `unknown_provider`, `threads_out_of_range` */
export function modelChoice(flags: FlagValues<typeof MODEL_FLAGS>): InferenceOptions {
  const provider = PROVIDERS.find((name) => name === flags.provider);
  if (flags.provider !== undefined && provider === undefined) {
    throw new UnmaskError({
      code: "unknown_provider",
      message: "there is no provider of that name",
      fix: `use --provider ${PROVIDERS.join(", ")}`,
      param: "provider",
    });
  }
  const threads = flags.threads;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256)) {
    throw new UnmaskError({
      code: "threads_out_of_range",
      message: "the number of threads is a whole number from 1 to 256",
      fix: "leave --threads out, or give the number of cores",
      param: "threads",
    });
  }
  return {
    modelFolder: flags.model ?? DEFAULT_MODEL,
    ...(provider === undefined ? {} : { provider }),
    ...(threads === undefined ? {} : { threads }),
  };
}

/**
 * A server is not given all of the disk: its task may read `models/` only. Said before the thread starts, where it would
 * be an error of the runtime.
 *
 * @throws `model_folder_not_allowed`
 */
export async function requireModelFolder({ modelFolder }: InferenceOptions): Promise<void> {
  const { state } = await Deno.permissions.query({ name: "read", path: modelFolder });
  if (state === "granted") return;
  throw new UnmaskError({
    code: "model_folder_not_allowed",
    message: "this task may not read the model's folder",
    fix: "move the folder into models/, or copy the task's command from deno.json and add the folder to --allow-read",
    param: "model",
  });
}
