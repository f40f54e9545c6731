/**
 * The chat template (facts 3.2), the tokens with a meaning of their own, and the splitting at `<image>`.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Tokenizer } from "./types.ts";

/** Stands in every prompt; the published fixed string. */
export const SYSTEM_MESSAGE =
  "You are a helpful language and vision assistant. You are able to understand the visual content that the user provides, " +
  "and assist the user with a variety of tasks using natural language.";

/** Added tokens, by text: ids differ from one model folder to another. */
export const TOKENS = {
  beginOfText: "<|startoftext|>",
  endOfText: "<|endoftext|>",
  endOfTurn: "<|eot_id|>",
  mask: "<|mdm_mask|>",
  startHeader: "<|start_header_id|>",
  endHeader: "<|end_header_id|>",
  /** One for each 2x2 cell of the picture that is drawn. */
  targetImage: "<|reserved_token_5|>",
  /** One for each 2x2 cell of the picture that is edited. */
  sourceImage: "<|reserved_token_6|>",
  /** [exp]: "the image comes here". */
  expand: "<|reserved_token_7|>",
  boxPhrase: "<box_p>",
  boxPhraseEnd: "</box_p>",
  locBegin: "<LOC_BEGIN>",
  locEnd: "<LOC_END>",
} as const;

/** Where SigLIP tokens go in a text; no token of the vocabulary. */
export const IMAGE_PLACEHOLDER = "<image>";
/** The published pseudo id at SigLIP positions. */
export const IMAGE_ID = -200;

/**
 * Oddities of the published inference that parity depends on (facts 3.2, quirks 1 and 2; 3.3, grounding). All on by
 * default, so that one runtime serves the published checkpoint and models trained with the same strings.
 */
export interface Quirks {
  /** An empty assistant header follows the filled assistant turn (full attention only). */
  readonly trailingHeader: boolean;
  /** The first token after each `<image>` is lost, if the text starts with `<|startoftext|>`. */
  readonly dropAfterImage: boolean;
  /** Grounding of one expression: an apostrophe stands before `<|startoftext|>` (which switches the former off). */
  readonly strayApostrophe: boolean;
}

export const PUBLISHED_QUIRKS: Quirks = { trailingHeader: true, dropAfterImage: true, strayApostrophe: true };

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export function messageText(message: Message): string {
  return `${TOKENS.startHeader}${message.role}${TOKENS.endHeader}\n\n${message.content.trim()}${TOKENS.endOfTurn}`;
}

export const ASSISTANT_HEADER = `${TOKENS.startHeader}assistant${TOKENS.endHeader}\n\n`;

/** System message, then `messages`, then an open assistant header (which the published template always adds). */
export function chatText(messages: readonly Message[], system = SYSTEM_MESSAGE): string {
  const all: Message[] = [{ role: "system", content: system }, ...messages];
  return TOKENS.beginOfText + all.map(messageText).join("") + ASSISTANT_HEADER;
}

/**
 * Token ids of a text with `<image>` placeholders; each becomes `imageTokens[i]` times `IMAGE_ID`. Every piece between
 * placeholders is tokenized alone (facts 3.2, quirk 2).
 *
 * @param imageTokens SigLIP tokens of each picture, newlines included; one entry for each placeholder
 * @throws UnmaskError `image_count_mismatch`
 */
export function encodeWithImages(
  text: string,
  tokenizer: Tokenizer,
  imageTokens: readonly number[] = [],
  quirks: Quirks = PUBLISHED_QUIRKS,
): Int32Array {
  const pieces = text.split(IMAGE_PLACEHOLDER);
  if (pieces.length - 1 !== imageTokens.length) {
    throw new UnmaskError({
      code: "image_count_mismatch",
      message: `the prompt has ${
        pieces.length - 1
      } places for a picture and ${imageTokens.length} pictures came with it`,
      fix: "give one picture for each place",
      param: "image",
    });
  }
  const drop = quirks.dropAfterImage && text.startsWith(TOKENS.beginOfText);
  const parts = pieces.flatMap((piece, index) => {
    const ids = tokenizer.encode(piece);
    if (index === 0) return [ids];
    const image = new Int32Array(imageTokens[index - 1] ?? 0).fill(IMAGE_ID);
    return [image, drop ? ids.subarray(1) : ids];
  });
  return concatenate(parts);
}

export function concatenate(parts: readonly Int32Array[]): Int32Array {
  const out = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** The index just behind the second `<|eot_id|>`: system and user message. */
export function endOfUserTurn(ids: Int32Array, tokenizer: Tokenizer): number {
  const end = tokenizer.id(TOKENS.endOfTurn);
  return ids.indexOf(end, ids.indexOf(end) + 1) + 1;
}
