/**
 * The judge of reflection (facts 3.3, 6.7).
 *
 * @module
 */
import { chatText, IMAGE_PLACEHOLDER } from "../chat_template.ts";

/** One picture, the one that was drawn for `caption`. */
export function judgeText(caption: string): string {
  const content =
    `${IMAGE_PLACEHOLDER}\nPlease evaluate this generated image based on the following prompt: ${caption} ` +
    "Focus on text alignment and compositionality.";
  return chatText([{ role: "user", content }]);
}

/** The published rule: a picture is accepted if, and only if, the answer contains these words. */
export function isAccepted(verdict: string): boolean {
  return verdict.includes("is correct");
}
