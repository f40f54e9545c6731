/**
 * Planning, before drawing and before an edit (facts 3.3, 6.7). The answer is decoded as text; `boxes.ts` reads it.
 *
 * @module
 */
import { chatText, IMAGE_PLACEHOLDER } from "../chat_template.ts";

const REQUEST = "Please first think and plan the layout in LOC format.";
/** How an answer to `planText` begins. */
export const PLAN_LEAD = "Sure I should place the objects in the following manner";
/** How an answer to `editPlanText` goes on after its verb. */
export const EDIT_PLAN_PLACES = "the objects in these locations :";
export const EDIT_PLAN_VERBS = ["adding", "removing", "replacing", "adjusting", "edit"] as const;
export type EditPlanVerb = (typeof EDIT_PLAN_VERBS)[number];

export function editPlanLead(verb: EditPlanVerb): string {
  return `Sure I should consider ${verb} ${EDIT_PLAN_PLACES}`;
}

/** `micro`: facts 3.4; empty for none. */
export function planText(caption: string, micro: string): string {
  return chatText([{ role: "user", content: `Generate an image with the caption: ${caption} ${micro}. ${REQUEST}` }]);
}

/** One picture, the one that will be edited. */
export function editPlanText(instruction: string): string {
  return chatText([{ role: "user", content: `${IMAGE_PLACEHOLDER}\n${instruction}. ${REQUEST}` }]);
}
