/**
 * Questions: the answer is decoded as text behind the open assistant header (facts 3.3, understanding).
 *
 * @module
 */
import { chatText, IMAGE_PLACEHOLDER, type Message } from "../chat_template.ts";

/**
 * The text of a question, with one picture or without. `spaced` puts a space behind the newline, as the published demo
 * does; its benchmarks don't.
 */
export function answerText(
  question: string,
  options: { readonly image: boolean; readonly spaced?: boolean } = { image: true },
): string {
  return conversationText(
    [{ role: "user", content: question, images: options.image ? 1 : 0 }],
    undefined,
    options.spaced,
  );
}

/** A message and the number of pictures in front of it. */
export interface Turn extends Message {
  readonly images: number;
}

/** The same for a conversation; the last turn is the question. @param system @default the published system message */
export function conversationText(turns: readonly Turn[], system?: string, spaced = true): string {
  const messages = turns.map(({ role, content, images }) => {
    const pictures = `${IMAGE_PLACEHOLDER}\n`.repeat(images);
    return { role, content: images > 0 && spaced ? `${pictures} ${content}` : pictures + content };
  });
  return chatText(messages, system);
}
