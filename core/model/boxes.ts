/**
 * Boxes: pixels to LOC numbers and back (facts 3.5), and the text that plans and grounding write them in.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { TOKENS } from "./chat_template.ts";
import { EDIT_PLAN_VERBS, editPlanLead, type EditPlanVerb, PLAN_LEAD } from "./prompts/plan.ts";

/** Pixels of the picture, origin at the top left. */
export interface Box {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** x1 y1 x2 y2 in the frame of the picture padded to a square, 0 to `locTokens - 1`. */
export type LocBox = readonly [number, number, number, number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface PlannedObject {
  readonly phrase: string;
  readonly boxes: readonly LocBox[];
}

export interface ParsedPlan {
  readonly objects: readonly PlannedObject[];
  /** Pieces that began like a phrase or a box and were none; what the model wrote, untouched. */
  readonly malformed: readonly string[];
}

const PUBLISHED_LOC_TOKENS = 1025;

function frame(size: Size): { side: number; left: number; top: number } {
  const side = Math.max(size.width, size.height);
  return { side, left: Math.floor((side - size.width) / 2), top: Math.floor((side - size.height) / 2) };
}

/** To the nearest whole number, halves to the even one, as the published numbers were made. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * LOC numbers of a box in pixels.
 *
 * @throws UnmaskError `box_out_of_range` if it is not inside the picture or its corners are the wrong way round
 */
export function boxToLoc(box: Box, size: Size, locTokens = PUBLISHED_LOC_TOKENS): LocBox {
  const inside = box.x1 >= 0 && box.y1 >= 0 && box.x2 <= size.width && box.y2 <= size.height;
  if (!inside || !(box.x1 <= box.x2) || !(box.y1 <= box.y2)) {
    throw new UnmaskError({
      code: "box_out_of_range",
      message: `the box ${box.x1}, ${box.y1}, ${box.x2}, ${box.y2} is not inside ${size.width} x ${size.height} pixels`,
      fix: "give x1, y1, x2, y2 in pixels with x1 <= x2 and y1 <= y2",
      param: "box",
    });
  }
  const { side, left, top } = frame(size);
  const loc = (coordinate: number) => roundHalfEven((coordinate * (locTokens - 1)) / side);
  return [loc(box.x1 + left), loc(box.y1 + top), loc(box.x2 + left), loc(box.y2 + top)];
}

/** Pixels of LOC numbers; not clipped, so a box may lie in the padding, outside the picture. */
export function boxFromLoc(loc: LocBox, size: Size, locTokens = PUBLISHED_LOC_TOKENS): Box {
  const { side, left, top } = frame(size);
  const pixels = (k: number) => (k / (locTokens - 1)) * side;
  return { x1: pixels(loc[0]) - left, y1: pixels(loc[1]) - top, x2: pixels(loc[2]) - left, y2: pixels(loc[3]) - top };
}

export function locText(loc: LocBox): string {
  return TOKENS.locBegin + loc.map((k) => `<LOC_${k}>`).join("") + TOKENS.locEnd;
}

/** ` <box_p> phrase </box_p><LOC_BEGIN>...`, joined by commas, as grounding lists and plans write objects. */
export function objectsText(objects: readonly PlannedObject[]): string {
  return objects.map(({ phrase, boxes }) =>
    ` ${TOKENS.boxPhrase} ${phrase} ${TOKENS.boxPhraseEnd}${boxes.map(locText).join("")}`
  ).join(",");
}

/** A plan for `drawPrompt`, [exp] at its end, as the model writes it. */
export function planToText(objects: readonly PlannedObject[]): string {
  return PLAN_LEAD + objectsText(objects) + TOKENS.expand;
}

/** The same for `editPrompt`. */
export function editPlanToText(verb: EditPlanVerb, objects: readonly PlannedObject[]): string {
  return editPlanLead(verb) + objectsText(objects) + TOKENS.expand;
}

/** What a decoded edit plan is about; null: it does not begin as one. */
export function verbOfPlan(text: string): EditPlanVerb | null {
  return EDIT_PLAN_VERBS.find((verb) => text.trimStart().startsWith(editPlanLead(verb))) ?? null;
}

/**
 * Objects of a decoded plan, edit plan or grounding list. Never throws: a model may write anything, and what could not be
 * read is listed in `malformed` (facts 6.6: a failed parse counts as a miss).
 */
export function parsePlan(text: string, locTokens = PUBLISHED_LOC_TOKENS): ParsedPlan {
  const objects: PlannedObject[] = [];
  const malformed: string[] = [];
  for (const piece of text.split(TOKENS.boxPhrase).slice(1)) {
    const end = piece.indexOf(TOKENS.boxPhraseEnd);
    const phrase = end < 0 ? "" : piece.slice(0, end).trim();
    const rest = end < 0 ? "" : piece.slice(end + TOKENS.boxPhraseEnd.length);
    const boxes: LocBox[] = [];
    let bad = phrase === "";
    for (const body of rest.split(TOKENS.locBegin).slice(1)) {
      const box = parseBox(body, locTokens);
      if (box === null) bad = true;
      else boxes.push(box);
    }
    if (bad || boxes.length === 0) malformed.push(TOKENS.boxPhrase + piece);
    if (phrase !== "" && boxes.length > 0) objects.push({ phrase, boxes });
  }
  return { objects, malformed };
}

function parseBox(body: string, locTokens: number): LocBox | null {
  const match = /^<LOC_(\d+)><LOC_(\d+)><LOC_(\d+)><LOC_(\d+)><LOC_END>/.exec(body);
  if (match === null) return null;
  const [x1, y1, x2, y2] = match.slice(1).map(Number);
  if (x1 === undefined || y1 === undefined || x2 === undefined || y2 === undefined) return null;
  if (x1 > x2 || y1 > y2 || Math.max(x2, y2) >= locTokens) return null;
  return [x1, y1, x2, y2];
}
