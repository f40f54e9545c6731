/**
 * An inference that paints its seed: the doors' tests need pictures that differ by seed and draws that take as long as a
 * test says, not a model. What scenes can be asked for is checked for real. Never part of the product.
 */
import { createApp } from "../../functions/app.ts";
import type { Model } from "../../core/model/types.ts";
import { choose, DRAW_DEFAULTS } from "../../core/tasks/draw_defaults.ts";
import { type DrawInput, parseDrawInput } from "../../core/tasks/draw_input.ts";
import { refuseSize } from "../../core/tasks/draw_refusals.ts";
import type { DrawCallOptions, FinishedDraw, RemoteInference } from "../../core/tasks/remote.ts";
import type { EncodePicture } from "../../functions/routes/images.ts";
import type { Limits } from "../../functions/middleware/limits.ts";
import { checkPrompt, parseLexicon } from "../../core/model/lexicon.ts";

const lexicon = parseLexicon(
  await Deno.readTextFile(new URL("../../models/scenes/lexicon.json", import.meta.url)),
);

export const INFO: RemoteInference["info"] = {
  provider: "cpu",
  runtime: "double 0.0.0",
  device: "a test",
  software: false,
  threads: 1,
  model: "scenes",
  imageSize: 256,
  loaded: [{ graph: "prompt", bytes: 300 }, { graph: "draw_prefix", bytes: 4000 }],
};

/** The part of a model that the refusal of a size looks at. */
const MODEL = { config: { nativeResolution: 256 } } as Model;

/** Draws that began, and how each ended. */
export interface Seen {
  readonly requests: DrawInput[];
  aborted: number;
  finished: number;
}

export interface Double extends RemoteInference {
  readonly seen: Seen;
}

export function double(options: { readonly stepMilliseconds?: number; readonly fail?: unknown } = {}): Double {
  const seen: Seen = { requests: [], aborted: 0, finished: 0 };
  return {
    info: INFO,
    seen,
    async draw(input: DrawInput, { signal, onStep }: DrawCallOptions = {}): Promise<FinishedDraw> {
      const request = parseDrawInput(input);
      seen.requests.push(request);
      if (options.fail !== undefined) throw options.fail;
      refuseSize(request.size, MODEL);
      const { prompt, seed, size: _, ...asked } = request;
      const settings = { ...choose(DRAW_DEFAULTS, asked), prompt: checkPrompt(prompt, lexicon), seed };
      const { steps, guidance, order } = settings;
      for (let step = 1; step <= steps; step++) {
        if (options.stepMilliseconds !== undefined) {
          await new Promise((resolve) => setTimeout(resolve, options.stepMilliseconds));
        }
        if (signal?.aborted === true) {
          seen.aborted++;
          throw signal.reason;
        }
        onStep?.(step, steps);
      }
      seen.finished++;
      return {
        picture: { width: 256, height: 256, data: new Uint8Array(256 * 256 * 3).fill(seed % 256) },
        settings,
        seed,
        steps,
        guidance,
        order,
        promptTokens: 11,
        imageTokens: 256,
        seconds: 0.25,
      };
    },
    close: () => Promise.resolve(),
  };
}

/** Not a picture file: format, quality and the first pixel, which is what these tests look at. */
export const encodeDouble: EncodePicture = (picture, format, quality) =>
  Promise.resolve(new TextEncoder().encode(`${format} ${quality ?? "-"} ${picture.data[0] ?? "none"}`));

export function appWith(
  inference: RemoteInference | Promise<RemoteInference> = double(),
  limits: Partial<Limits> = {},
) {
  return createApp({ inference: Promise.resolve(inference), encode: encodeDouble, limits });
}

export const IMAGES = "/v1/images/generations";

/** A POST of a JSON body, as a client sends it. */
export function json(body: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}
