/**
 * A run's result as its file: a picture in the format that was asked for, an answer as text, boxes and rounds as JSON.
 *
 * @module
 */
import type { RoundsResult } from "../tasks/all_tasks.ts";
import type { Encoding, RunOutput } from "./record.ts";
import type { EncodeOutput, StepResult } from "./step_engine.ts";

const JSON_TYPE = "application/json";

export async function fileOf(
  result: StepResult,
  encoding: Encoding,
  encode: EncodeOutput,
): Promise<{ readonly bytes: Uint8Array; readonly media: string }> {
  if ("rounds" in result) return { bytes: jsonBytes(await roundsOf(result, encoding, encode)), media: JSON_TYPE };
  if (!("text" in result)) {
    const { format, quality } = encoding;
    return { bytes: await encode(result.picture, format, quality), media: `image/${format}` };
  }
  const { text, boxes, malformed, verb } = result;
  return boxes === undefined
    ? { bytes: new TextEncoder().encode(text), media: "text/plain; charset=utf-8" }
    : { bytes: jsonBytes({ text, boxes, malformed, verb }), media: JSON_TYPE };
}

/** Pictures as data URLs, so that a run's one file holds all of its rounds; the last one's is the result. */
async function roundsOf({ rounds }: RoundsResult, { format, quality }: Encoding, encode: EncodeOutput) {
  const told: unknown[] = [];
  for (const { picture, ids, ...round } of rounds) {
    const bytes = await encode(picture, format, quality);
    told.push({ ...round, ids: [...ids], picture: `data:image/${format};base64,${bytes.toBase64()}` });
  }
  return { accepted: rounds.at(-1)?.accepted ?? null, rounds: told };
}

function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export function countsOf(
  result: StepResult,
): Omit<RunOutput, "blob" | "sha256" | "media_type" | "bytes"> {
  const prompt = { prompt_tokens: result.promptTokens, seen_tokens: result.seenTokens ?? 0 };
  if ("text" in result) {
    const { textTokens, truncated } = result;
    return { ...prompt, width: 0, height: 0, image_tokens: 0, text_tokens: textTokens, truncated };
  }
  const { picture: { width, height }, imageTokens } = result;
  const words = "rounds" in result ? { text_tokens: result.textTokens } : {};
  return { ...prompt, width, height, image_tokens: imageTokens, ...words };
}
