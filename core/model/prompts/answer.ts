/**
 * Questions: the answer is decoded as text behind the open assistant header (facts 3.3, understanding).
 *
 * @module
 */
import { chatText, IMAGE_PLACEHOLDER } from "../chat_template.ts";

/**
 * The text of a question, with one picture or without. `spaced` puts a space behind the newline, as the published demo
 * does; its benchmarks don't.
 */
export function answerText(
  question: string,
  options: { readonly image: boolean; readonly spaced?: boolean } = { image: true },
): string {
  const content = options.image ? `${IMAGE_PLACEHOLDER}\n${options.spaced ?? true ? " " : ""}${question}` : question;
  return chatText([{ role: "user", content }]);
}
