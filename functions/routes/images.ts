/**
 * `POST /v1/images/generations`, as OpenAI's clients call it. `n` pictures are `n` draws with the seeds seed, seed + 1,
 * …, so that any of them can be drawn again alone. What the answer adds to OpenAI's is `data[].seed` and `unmask`.
 *
 * @module
 */
import type { Context } from "hono";
import type { OutputFormat } from "../../core/image/codec.ts";
import type { Picture } from "../../core/model/types.ts";
import { type DrawInput, parseDrawInput } from "../../core/tasks/draw_input.ts";
import type { FinishedDraw, RemoteInference } from "../../core/tasks/remote.ts";
import { type DrawGate, type Limits, readJson } from "../middleware/limits.ts";
import type { Environment } from "../middleware/request_id.ts";
import { type ImagesInput, parseImagesInput } from "./images_input.ts";

/** Pixels to a file's bytes; `quality` is 0-100 and absent for png. Injected, so that a front needs no image codec. */
export type EncodePicture = (picture: Picture, format: OutputFormat, quality?: number) => Promise<Uint8Array>;

export interface ImagesAnswer {
  /** Seconds since 1970. */
  readonly created: number;
  readonly data: readonly { readonly b64_json: string; readonly seed: number }[];
  readonly size: string;
  readonly quality: string;
  readonly background: "opaque";
  readonly output_format: OutputFormat;
  readonly usage: {
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly total_tokens: number;
    readonly input_tokens_details: { readonly text_tokens: number; readonly image_tokens: number };
    readonly output_tokens_details: { readonly text_tokens: number; readonly image_tokens: number };
  };
  readonly unmask: {
    readonly model: string;
    readonly provider: string;
    readonly seed: number;
    readonly steps: number;
    readonly guidance: number;
    readonly order: string;
    /** Time of the draws, waiting excluded. */
    readonly seconds: number;
  };
}

export interface ImagesRoute {
  readonly inference: Promise<RemoteInference>;
  readonly encode: EncodePicture;
  readonly limits: Limits;
  readonly gate: DrawGate;
}

export async function generateImages(context: Context<Environment>, route: ImagesRoute): Promise<Response> {
  const body = await readJson(context.req.raw, route.limits);
  const inference = await route.inference;
  const input = parseImagesInput(body, inference.info.model);
  const requests = drawInputs(input);
  // The signal of a request aborts when its client has gone: nobody is left to draw for.
  const signal = context.req.raw.signal;
  return await route.gate.pass(async () => {
    const drawn: FinishedDraw[] = [];
    for (const request of requests) {
      signal.throwIfAborted();
      drawn.push(await inference.draw(request, { signal }));
    }
    return context.json(await toAnswer(drawn, input, inference, route.encode), 200, { "cache-control": "no-store" });
  });
}

/** One draw a picture, all of them checked before the first begins. Without a seed one is drawn, and told. */
function drawInputs(input: ImagesInput): readonly DrawInput[] {
  const { prompt, size, steps, guidance, order } = input;
  const seed = input.seed ?? randomSeed();
  const given = Object.entries({ size, steps, guidance, order }).filter(([, value]) => value != null);
  return Array.from(
    { length: input.n ?? 1 },
    (_, index) => parseDrawInput({ prompt, seed: seed + index, ...Object.fromEntries(given) }),
  );
}

/** 32 random bits: short enough to be typed again. */
function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

async function toAnswer(
  drawn: readonly FinishedDraw[],
  input: ImagesInput,
  inference: RemoteInference,
  encode: EncodePicture,
): Promise<ImagesAnswer> {
  const first = drawn[0];
  if (first === undefined) throw new Error("an answer needs a picture");
  const format = input.output_format ?? "png";
  // OpenAI's default: the least compression.
  const quality = format === "png" ? undefined : input.output_compression ?? 100;
  const data = await Promise.all(drawn.map(async ({ picture, seed }) => ({
    b64_json: (await encode(picture, format, quality)).toBase64(),
    seed,
  })));
  const sum = (of: (draw: FinishedDraw) => number) => drawn.reduce((total, draw) => total + of(draw), 0);
  const [textTokens, imageTokens] = [sum((draw) => draw.promptTokens), sum((draw) => draw.imageTokens)];
  return {
    created: Math.floor(Date.now() / 1000),
    data,
    size: `${first.picture.width}x${first.picture.height}`,
    quality: input.quality ?? "auto",
    background: "opaque",
    output_format: format,
    usage: {
      input_tokens: textTokens,
      output_tokens: imageTokens,
      total_tokens: textTokens + imageTokens,
      input_tokens_details: { text_tokens: textTokens, image_tokens: 0 },
      output_tokens_details: { text_tokens: 0, image_tokens: imageTokens },
    },
    unmask: {
      model: inference.info.model,
      provider: inference.info.provider,
      seed: first.seed,
      steps: first.steps,
      guidance: first.guidance,
      order: first.order,
      seconds: Number(sum((draw) => draw.seconds).toFixed(3)),
    },
  };
}
