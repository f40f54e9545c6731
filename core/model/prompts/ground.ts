/**
 * Grounding: boxes come out of one masked forward (facts 3.3, 3.5, 6.6).
 *
 * @module
 */
import {
  ASSISTANT_HEADER,
  chatText,
  encodeWithImages,
  IMAGE_PLACEHOLDER,
  PUBLISHED_QUIRKS,
  type Quirks,
  TOKENS,
} from "../chat_template.ts";
import type { Tokenizer } from "../types.ts";

export interface GroundPrompt {
  readonly ids: Int32Array;
  /** Positions of the four masks of each expression, x1 y1 x2 y2, expression after expression. */
  readonly maskPositions: Uint32Array;
}

const BOX = TOKENS.locBegin + TOKENS.mask.repeat(4) + TOKENS.locEnd;

/** One expression ("RefCOCO mode"); without a trailing header in the published code too. */
export function groundOneText(expression: string, quirks: Quirks = PUBLISHED_QUIRKS): string {
  const content =
    `${IMAGE_PLACEHOLDER}\n Please locate ${expression} in this image. Give bounding boxes in LOC format.`;
  return (quirks.strayApostrophe ? "'" : "") + chatText([{ role: "user", content }]) + BOX + TOKENS.endOfTurn;
}

/** Any number of expressions at once ("grand" mode). */
export function groundListText(expressions: readonly string[], quirks: Quirks = PUBLISHED_QUIRKS): string {
  const content = `${IMAGE_PLACEHOLDER}\n Please describe this image with dense localized caption. ` +
    "Give bounding boxes in LOC format.";
  const objects = expressions.map((expression) => `${TOKENS.boxPhrase} ${expression} ${TOKENS.boxPhraseEnd}${BOX}`);
  return chatText([{ role: "user", content }]) + `There are following objects in the scene. ${objects.join(", ")}` +
    TOKENS.endOfTurn + (quirks.trailingHeader ? ASSISTANT_HEADER : "");
}

/** Ids and mask positions of a text of this file; `imageTokens`: SigLIP tokens of the picture, newlines included. */
export function groundPrompt(
  text: string,
  imageTokens: number,
  tokenizer: Tokenizer,
  quirks: Quirks = PUBLISHED_QUIRKS,
): GroundPrompt {
  const ids = encodeWithImages(text, tokenizer, [imageTokens], quirks);
  const mask = tokenizer.id(TOKENS.mask);
  const positions: number[] = [];
  ids.forEach((id, position) => {
    if (id === mask) positions.push(position);
  });
  return { ids, maskPositions: Uint32Array.from(positions) };
}
