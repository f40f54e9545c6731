/**
 * Editing: three rows of token ids for two kinds of guidance (facts 3.3, 6.4).
 *
 * @module
 */
import {
  ASSISTANT_HEADER,
  chatText,
  encodeWithImages,
  endOfUserTurn,
  IMAGE_ID,
  IMAGE_PLACEHOLDER,
  PUBLISHED_QUIRKS,
  type Quirks,
  TOKENS,
} from "../chat_template.ts";
import type { Tokenizer } from "../types.ts";
import { cleanPlan } from "./draw.ts";

/** What the *enc* row knows: 0 only the source's VQ tokens, 3 those and SigLIP; 1 all but VQ, 2 all but both. */
export type EditMode = 0 | 1 | 2 | 3;

export interface EditRequest {
  readonly instruction: string;
  /** SigLIP tokens of the source picture, newlines included. */
  readonly imageTokens: number;
  /** Transformer tokens of the source's VQ ids: one for each 2x2 cell. */
  readonly sourceTokens: number;
  readonly plan?: string;
  /** @default {0} */
  readonly mode?: EditMode;
}

export interface EditPrompt {
  /**
   * *full*, *enc*, *un*: equal lengths, up to and excluding the first target image token; `IMAGE_ID` at SigLIP tokens.
   * A source token that is masked here is routed to the text branch in *un*, and to the image branch in *enc*: see
   * `sourcePositions`.
   */
  readonly rows: readonly [Int32Array, Int32Array, Int32Array];
  /** What follows each row's last image token under `full` attention. */
  readonly suffixes: readonly [Int32Array, Int32Array, Int32Array];
  /** Positions of the source's VQ tokens, image branch in *full* and *enc*. */
  readonly sourcePositions: Uint32Array;
}

/** The user message; ends in a space that the chat template trims. */
export function editRequestText(request: EditRequest): string {
  return `${IMAGE_PLACEHOLDER} ${TOKENS.sourceImage.repeat(request.sourceTokens)}\n ${request.instruction} `;
}

/** With a plan, *un* is masked throughout, as in drawing (derived: no published number pins an edit with a plan). */
export function editPrompt(request: EditRequest, tokenizer: Tokenizer, quirks: Quirks = PUBLISHED_QUIRKS): EditPrompt {
  const plan = cleanPlan(request.plan ?? "");
  const text = chatText([{ role: "user", content: editRequestText(request) }]) + plan;
  const full = encodeWithImages(text, tokenizer, [request.imageTokens], quirks);
  const mask = tokenizer.id(TOKENS.mask);
  const source = tokenizer.id(TOKENS.sourceImage);
  const suffix = tokenizer.encode(TOKENS.endOfTurn + (quirks.trailingHeader ? ASSISTANT_HEADER : ""));

  const mode = request.mode ?? 0;
  const known: Record<EditMode, (id: number) => boolean> = {
    0: (id) => id === source,
    1: (id) => id !== source,
    2: (id) => id !== source && id !== IMAGE_ID,
    3: (id) => id === source || id === IMAGE_ID,
  };
  const onlyKnown = (ids: Int32Array) => ids.map((id) => known[mode](id) ? id : mask);
  const masked = plan === "" ? endOfUserTurn(full, tokenizer) : full.length;

  const positions: number[] = [];
  full.forEach((id, position) => {
    if (id === source) positions.push(position);
  });
  return {
    rows: [full, onlyKnown(full), full.slice().fill(mask, 0, masked)],
    suffixes: [suffix, onlyKnown(suffix), suffix],
    sourcePositions: Uint32Array.from(positions),
  };
}
