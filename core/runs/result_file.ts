/**
 * A run's result as its file: a picture in the format that was asked for, an answer as text, boxes as JSON.
 *
 * @module
 */
import type { Encoding, RunOutput } from "./record.ts";
import type { EncodeOutput, StepResult } from "./step_engine.ts";

export async function fileOf(
  result: StepResult,
  { format, quality }: Encoding,
  encode: EncodeOutput,
): Promise<{ readonly bytes: Uint8Array; readonly media: string }> {
  if (!("text" in result)) {
    return { bytes: await encode(result.picture, format, quality), media: `image/${format}` };
  }
  const { text, boxes } = result;
  return boxes === undefined
    ? { bytes: new TextEncoder().encode(text), media: "text/plain; charset=utf-8" }
    : { bytes: new TextEncoder().encode(JSON.stringify({ text, boxes })), media: "application/json" };
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
  return { ...prompt, width, height, image_tokens: imageTokens };
}
