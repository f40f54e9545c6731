/**
 * The inference thread as a run's engine.
 *
 * @module
 */
import type { DrawInput } from "../tasks/draw_input.ts";
import type { DrawState } from "../tasks/draw_state.ts";
import type { RemoteInference, RemoteSteps } from "../tasks/remote.ts";
import { fingerprint, weightsHash } from "./state/fingerprint.ts";
import type { StepEngine } from "./step_engine.ts";

/** Reads the folder's weights once, for the fingerprint. */
export async function threadEngine(
  { provider, runtime, device, threads }: RemoteInference["info"],
  steps: RemoteSteps,
  folder: string,
): Promise<StepEngine> {
  return {
    fingerprint: fingerprint({ weights: await weightsHash(folder), provider, runtime, device, threads }),
    // The kind of the run parsed the input, and its own codec read the state.
    start: (_, input) => steps.start(input as DrawInput),
    open: (_, state) => steps.open(state as DrawState),
    result: async (_, state) => {
      const { picture, promptTokens, imageTokens } = await steps.result(state as DrawState);
      return { picture, promptTokens, imageTokens };
    },
    decode: steps.decode,
    meanCode: steps.meanCode,
  };
}
