/**
 * `POST /v1/images/generations`, as OpenAI's clients call it: a view of runs. `n` pictures are `n` draws with the seeds
 * seed, seed + 1, …, so that any of them can be drawn again alone.
 *
 * @module
 */
import type { Context } from "hono";
import type { CreateRequest } from "../../../core/runs/run_request.ts";
import { parseDrawInput } from "../../../core/tasks/draw_input.ts";
import { readJson } from "../../middleware/limits.ts";
import type { Environment } from "../../middleware/request_id.ts";
import { ask, finished, type OpenAIRoute, seedFor } from "./door.ts";
import { type ImagesInput, parseImagesInput } from "./images_input.ts";
import { imagesAnswer } from "./picture_answer.ts";
import { encodingOf } from "./picture_fields.ts";
import { streamPicture } from "./picture_stream.ts";

export async function generateImages(
  context: Context<Environment>,
  { opening, readiness, limits }: OpenAIRoute,
): Promise<Response> {
  const body = await readJson(context.req.raw, limits);
  const door = await opening;
  const input = parseImagesInput(body, door.model);
  const asked = await ask(context, door, drawsOf(input, input.seed ?? seedFor(context)), input.stream === true);
  if (input.stream === true) return streamPicture(context, door, asked, "image_generation", input);
  const records = await finished(context, door, asked);
  return context.json(await imagesAnswer(context, door, readiness, records, input), 200, {
    "cache-control": "no-store",
  });
}

/** One draw a picture, all of them checked before the first is asked for. */
function drawsOf(input: ImagesInput, seed: number): readonly CreateRequest[] {
  const { prompt, size, steps, guidance, order } = input;
  const given = Object.fromEntries(
    Object.entries({ size, steps, guidance, order }).filter(([, value]) => value != null),
  );
  return Array.from({ length: input.n ?? 1 }, (_, index) => {
    const draw = { prompt, seed: seed + index, ...given };
    parseDrawInput(draw);
    return { task: "draw", input: draw, output: encodingOf(input) };
  });
}
