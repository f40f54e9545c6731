/**
 * Drawing: the rows of token ids before the first image token, and what follows the last one (facts 3.3, 6.1, 6.7).
 *
 * @module
 */
import {
  ASSISTANT_HEADER,
  chatText,
  encodeWithImages,
  endOfUserTurn,
  IMAGE_PLACEHOLDER,
  PUBLISHED_QUIRKS,
  type Quirks,
  TOKENS,
} from "../chat_template.ts";
import type { Tokenizer } from "../types.ts";
import { microString } from "./micro.ts";

/** A picture that the judge refused. */
export interface Feedback {
  readonly text: string;
  /** SigLIP tokens of the refused picture, newline included. */
  readonly imageTokens: number;
}

export interface DrawRequest {
  readonly prompt: string;
  /** Micro-conditioning, facts 3.4; empty for none. @default {microString of a `size` px square} */
  readonly micro?: string;
  /** Side of the picture in pixels; only shapes the default of `micro`. @default {256} */
  readonly size?: number;
  /** Decoded plan, as the model wrote it; control tokens that end text are stripped, [exp] stays. */
  readonly plan?: string;
  readonly feedback?: readonly Feedback[];
}

export interface DrawPrompt {
  /** Conditional, unconditional: equal lengths, up to and excluding the first image token; `IMAGE_ID` at SigLIP tokens. */
  readonly rows: readonly [Int32Array, Int32Array];
  /** What follows each row's last image token under `full` attention; `prefix` attention ends with the image. */
  readonly suffixes: readonly [Int32Array, Int32Array];
}

const FEEDBACK_LEAD = " Please also consider past generations and their feedbacks. Do not repeat these errors ";

/** The user message. */
export function drawRequestText(request: DrawRequest): string {
  const size = request.size ?? 256;
  const micro = request.micro ?? microString({ width: size, height: size });
  const caption = `Generate an image with the caption:\n ${request.prompt} ${micro}`;
  const feedback = request.feedback ?? [];
  if (feedback.length === 0) return caption;
  const lines = feedback.map(({ text }, index) =>
    `Generation ${index + 1}: ${IMAGE_PLACEHOLDER}\n Feedback ${index + 1}: ${text}`
  );
  return `${caption} ${FEEDBACK_LEAD}${lines.join("\n")}`;
}

/** A plan as it goes in front of the image tokens. */
export function cleanPlan(plan: string): string {
  return plan.replaceAll(TOKENS.endOfTurn, "").replaceAll(TOKENS.endOfText, "").trimStart();
}

/**
 * Rows for `Model.prompt` (facts 6.1). The unconditional row has `<|mdm_mask|>` from the start through the second
 * `<|eot_id|>`, so that the assistant header stays; with a plan it is masked throughout.
 */
export function drawPrompt(request: DrawRequest, tokenizer: Tokenizer, quirks: Quirks = PUBLISHED_QUIRKS): DrawPrompt {
  const plan = cleanPlan(request.plan ?? "");
  const text = chatText([{ role: "user", content: drawRequestText(request) }]) + plan;
  const imageTokens = (request.feedback ?? []).map((item) => item.imageTokens);
  const conditional = encodeWithImages(text, tokenizer, imageTokens, quirks);
  const masked = plan === "" ? endOfUserTurn(conditional, tokenizer) : conditional.length;
  const unconditional = conditional.slice().fill(tokenizer.id(TOKENS.mask), 0, masked);
  const suffix = tokenizer.encode(TOKENS.endOfTurn + (quirks.trailingHeader ? ASSISTANT_HEADER : ""));
  return { rows: [conditional, unconditional], suffixes: [suffix, suffix] };
}
