/**
 * A plan that a caller gives: boxes in pixels or the text that a model wrote, checked, and as the model reads it
 * (facts 3.3, 6.7).
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";
import {
  boxToLoc,
  editPlanToText,
  parsePlan,
  type PlannedObject,
  planToText,
  type Size,
  verbOfPlan,
} from "../model/boxes.ts";
import { checkPrompt, type Lexicon, withGrounds } from "../model/lexicon.ts";
import { EDIT_PLAN_VERBS, type EditPlanVerb } from "../model/prompts.ts";

export const planBox = z.strictObject({
  /** `red car` */
  label: z.string().max(400),
  /** [left, top, right, bottom] in pixels: of the picture to draw, or of the one to edit. */
  xyxy: z.tuple([z.number(), z.number(), z.number(), z.number()]),
});

export type PlanBox = z.infer<typeof planBox>;

/** Boxes, which may be changed before they are sent, or the `text` of a plan as it came. */
export const planInput = z.union([z.string().max(4000), z.array(planBox).max(64)]);

export type PlanInput = z.infer<typeof planInput>;

export const planVerb = z.enum(EDIT_PLAN_VERBS);

export interface PlanFrame {
  /** Pixels that the boxes are in. */
  readonly canvas: Size;
  readonly locTokens: number;
  /** What labels may say; null: anything. */
  readonly lexicon: Lexicon | null;
}

/** @returns text for `DrawRequest.plan`. @throws as {@link planObjects} */
export function drawPlan(plan: PlanInput, frame: PlanFrame): string {
  return planToText(planObjects(plan, frame));
}

/**
 * @param verb of boxes; text brings its own. @default {"edit"}
 * @returns text for `EditRequest.plan`, and its objects
 * @throws {UnmaskError} as {@link planObjects}; `plan_verb_missing`, `option_unused`
 */
export function editPlan(
  plan: PlanInput,
  verb: EditPlanVerb | undefined,
  frame: PlanFrame,
): { readonly text: string; readonly objects: readonly PlannedObject[] } {
  const { lexicon } = frame;
  const objects = planObjects(plan, { ...frame, lexicon: lexicon === null ? null : withGrounds(lexicon) });
  if (typeof plan !== "string") return { text: editPlanToText(verb ?? "edit", objects), objects };
  if (verb !== undefined) {
    throw refusal("option_unused", "`planVerb` has no effect on a plan of text", "leave it out", "planVerb");
  }
  const said = verbOfPlan(plan);
  if (said !== null) return { text: editPlanToText(said, objects), objects };
  const verbs = EDIT_PLAN_VERBS.join(", ");
  throw refusal(
    "plan_verb_missing",
    "this text does not begin as a plan of an edit",
    `send boxes, and one of ${verbs}`,
  );
}

/**
 * @throws {UnmaskError} `plan_empty`, `plan_malformed`, `plan_box_invalid`, `plan_outside_canvas`, `plan_label_empty`,
 * `plan_label_reserved`, `plan_label_unknown_words`
 */
export function planObjects(plan: PlanInput, { canvas, locTokens, lexicon }: PlanFrame): readonly PlannedObject[] {
  if (typeof plan === "string") {
    const { objects, malformed } = parsePlan(plan, locTokens);
    const [bad] = malformed;
    if (bad !== undefined) {
      throw refusal("plan_malformed", `the plan holds what is no box: ${shown(bad)}`, "send boxes, or leave it out");
    }
    if (objects.length === 0) throw empty();
    return objects.map(({ phrase, boxes }) => ({ phrase: checkLabel(phrase, lexicon), boxes }));
  }
  if (plan.length === 0) throw empty();
  return plan.map(({ label, xyxy }) => ({
    phrase: checkLabel(label, lexicon),
    boxes: [boxToLoc(checkBox(xyxy, canvas), canvas, locTokens)],
  }));
}

function checkBox([x1, y1, x2, y2]: PlanBox["xyxy"], { width, height }: Size) {
  const box = `[${x1}, ${y1}, ${x2}, ${y2}]`;
  if (!(x1 < x2 && y1 < y2)) {
    throw refusal("plan_box_invalid", `the box ${box} is empty`, "give left < right and top < bottom, in pixels");
  }
  if (x1 < 0 || y1 < 0 || x2 > width || y2 > height) {
    const canvas = `${width}x${height}`;
    throw refusal("plan_outside_canvas", `the box ${box} leaves the ${canvas} pixels`, "move it inside");
  }
  return { x1, y1, x2, y2 };
}

function checkLabel(label: string, lexicon: Lexicon | null): string {
  try {
    return checkPrompt(label.trim(), lexicon);
  } catch (cause) {
    if (!(cause instanceof UnmaskError)) throw cause;
    const { code, message, fix } = cause;
    // The same rules, said of the label.
    const said = message.replace("the prompt", "a label of the plan");
    throw refusal(`plan_label_${code.replace("prompt_", "")}`, said, code === "prompt_empty" ? "name the thing" : fix);
  }
}

function empty(): UnmaskError {
  return refusal("plan_empty", "the plan names no thing with a box", "give at least one, or leave the plan out");
}

function refusal(code: string, message: string, fix: string, param = "plan"): UnmaskError {
  return new UnmaskError({ code, message, fix, param });
}

/** Of a stranger's text: a piece, printable. */
function shown(text: string): string {
  return JSON.stringify(text.replace(/[^\x20-\x7e]/g, "?").slice(0, 80));
}
