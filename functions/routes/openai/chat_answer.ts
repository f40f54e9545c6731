/**
 * A finished run as an assistant's message. Pictures come as `images` beside the content, as gateways such as OpenRouter's
 * give them; boxes as text, and as annotations in pixels of the picture that was sent.
 *
 * @module
 */
import type { UnmaskError } from "../../../core/errors.ts";
import type { RunRecord } from "../../../core/runs/record.ts";
import { type FoundBox, type NoBox, thoseFound } from "../../../core/tasks/all_tasks.ts";
import type { OpenAIDoor } from "./door.ts";

export interface ChatMessage {
  readonly content: string;
  readonly images?: readonly { readonly type: "image_url"; readonly image_url: { readonly url: string } }[];
  readonly annotations?: readonly {
    readonly type: "box";
    readonly label: string;
    readonly xyxy: FoundBox["xyxy"];
  }[];
}

export interface ChatUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: 0; readonly image_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: 0; readonly image_tokens: number };
}

/** A choice's end: its message, why it ended, and what it cost. */
export interface Said {
  readonly message: ChatMessage;
  readonly finish: "stop" | "length";
  readonly usage: ChatUsage;
}

export async function saidBy({ runs }: OpenAIDoor, record: RunRecord): Promise<Said> {
  const bytes = await runs.resultOf(record);
  const { output } = record;
  const { media_type = "", truncated = false } = output ?? {};
  return {
    message: messageOf(bytes, media_type),
    finish: truncated ? "length" : "stop",
    usage: usageOf(output?.prompt_tokens, output?.seen_tokens, output?.text_tokens, output?.image_tokens),
  };
}

/** A refusal that is a matter of the conversation: said, not thrown, so that a chat goes on. */
export function saidInstead({ message, fix }: Pick<UnmaskError, "message" | "fix">): Said {
  const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
  return { message: { content: `${sentence(message)} ${sentence(fix)}` }, finish: "stop", usage: usageOf() };
}

/** Codes that {@link saidInstead} is for. */
export const CONVERSATIONAL = ["unknown_words"];

function messageOf(bytes: Uint8Array, media: string): ChatMessage {
  const text = () => new TextDecoder().decode(bytes);
  if (media.startsWith("text/")) return { content: text() };
  if (media !== "application/json") {
    const url = `data:${media};base64,${bytes.toBase64()}`;
    return { content: "", images: [{ type: "image_url", image_url: { url } }] };
  }
  const { text: content, boxes } = JSON.parse(text()) as { text: string; boxes: readonly (FoundBox | NoBox)[] };
  return { content, annotations: thoseFound(boxes).map(({ label, xyxy }) => ({ type: "box", label, xyxy })) };
}

function usageOf(prompt = 0, seen = 0, words = 0, pictures = 0): ChatUsage {
  return {
    prompt_tokens: prompt,
    completion_tokens: words + pictures,
    total_tokens: prompt + words + pictures,
    prompt_tokens_details: { cached_tokens: 0, image_tokens: seen },
    completion_tokens_details: { reasoning_tokens: 0, image_tokens: pictures },
  };
}
