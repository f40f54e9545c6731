/**
 * What a model planned, in pixels, and what of it is no plan.
 *
 * @module
 */
import { boxFromLoc, type LocBox, objectsText, parsePlan, type Size, verbOfPlan } from "../model/boxes.ts";
import { TOKENS } from "../model/chat_template.ts";
import { editPlanLead, type EditPlanVerb, PLAN_LEAD } from "../model/prompts.ts";

export interface PlannedBox {
  readonly label: string;
  /** [left, top, right, bottom] in pixels of the picture, inside it; sent back they are the same LOC numbers. */
  readonly xyxy: readonly [number, number, number, number];
  /** As the model said it. */
  readonly loc: LocBox;
}

export interface FoundPlan {
  /** As the model wrote it, without control tokens. */
  readonly text: string;
  readonly boxes: readonly PlannedBox[];
  /** Pieces that are no object with its box; the whole text where it is none of a plan's form. */
  readonly malformed: readonly string[];
  /** Of an edit's plan; null: it does not begin as one. */
  readonly verb?: EditPlanVerb | null;
}

/** @param said [exp] at its end or not */
export function readPlan(said: string, canvas: Size, locTokens: number, of: "draw" | "edit"): FoundPlan {
  const text = said.replaceAll(TOKENS.expand, "").trim();
  const { objects, malformed } = parsePlan(text, locTokens);
  const verb = of === "edit" ? verbOfPlan(text) : undefined;
  const lead = verb === undefined ? PLAN_LEAD : verb === null ? undefined : editPlanLead(verb);
  // The parser sees objects alone: what stands before, between and behind them is told here.
  const whole = malformed.length > 0 || (lead !== undefined && plain(lead + objectsText(objects)) === plain(text));
  const boxes = objects.flatMap(({ phrase: label, boxes }) =>
    boxes.map((loc) => ({ label, xyxy: inside(loc, canvas, locTokens), loc }))
  );
  return { text, boxes, malformed: whole ? malformed : [text], ...(verb === undefined ? {} : { verb }) };
}

function inside(loc: LocBox, canvas: Size, locTokens: number): PlannedBox["xyxy"] {
  const { x1, y1, x2, y2 } = boxFromLoc(loc, canvas, locTokens);
  const within = (value: number, most: number) => Math.min(most, Math.max(0, value));
  const { width, height } = canvas;
  return [within(x1, width), within(y1, height), within(x2, width), within(y2, height)];
}

/** White space is no matter. */
function plain(text: string): string {
  return text.replace(/\s+/g, "");
}
