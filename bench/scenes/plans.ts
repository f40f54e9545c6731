/**
 * Plans of drawings: what a prompt's plan must hold, and the plan of a scene that is known.
 *
 * @module
 */
import type { Detection } from "./detect.ts";
import { type Corners, cornersOf, iou } from "./expressions.ts";
import { type Named, phraseOf } from "./language.ts";
import type { Metadata } from "./prompt.ts";
import { judgeSight } from "./score.ts";
import type { Scene, World } from "./world.ts";

export interface PlannedThing {
  /** `red car`; a thing in its icon's own colours has no colour word. */
  readonly label: string;
  /** Pixels of the picture. */
  readonly xyxy: Corners;
}

export interface Plan {
  readonly boxes: readonly PlannedThing[];
  /** What the runtime could not read of it. */
  readonly malformed: readonly string[];
}

export interface PlanVerdict {
  readonly valid: boolean;
  /** Empty when valid; else what is wrong first. */
  readonly reason: string;
}

/** How far boxes of training overlap, which never did, and what rounding to LOC numbers may add. */
const OVERLAP = 0.02;

/** By the strict rules of pictures: classes, colours, count and relation of the prompt, and nothing else; see score.ts. */
export function judgePlan(world: World, { boxes, malformed }: Plan, metadata: Metadata): PlanVerdict {
  const invalid = (reason: string) => ({ valid: false, reason });
  const [bad] = malformed;
  if (bad !== undefined) return invalid("a part of it is no object with its box");
  const { canvas } = world.data;
  const seen: Detection[] = [];
  for (const { label, xyxy } of boxes) {
    const kind = kindOf(world, label);
    if (kind === undefined) return invalid(`there is no "${label}" in the world`);
    const [left, top, right, bottom] = xyxy;
    if (!(left < right && top < bottom)) return invalid(`the box of the ${label} is empty`);
    if (left < 0 || top < 0 || right > canvas || bottom > canvas) return invalid(`the ${label} leaves the canvas`);
    // Relations ask for squares: those around the same centre.
    const size = Math.max(right - left, bottom - top);
    const [x, y] = [(left + right - size) / 2, (top + bottom - size) / 2];
    seen.push({ ...kind, size, x, y, error: 0, ring: 0, flaws: 0 });
  }
  for (const [i, a] of boxes.entries()) {
    const over = boxes.slice(i + 1).find((b) => iou(a.xyxy, b.xyxy) > OVERLAP);
    if (over !== undefined) return invalid(`the ${a.label} and the ${over.label} overlap`);
  }
  const { strict, reason } = judgeSight(world, { detections: seen, unexplained: 0 }, metadata);
  return { valid: strict, reason };
}

/** A plan that is true: the things of a scene of the prompt, in the order in which the prompt names them. */
export function planOf({ data }: World, { include }: Pick<Metadata, "include">, { things }: Scene): PlannedThing[] {
  const named = things.map((thing) => ({ label: phraseOf(data, thing), xyxy: cornersOf(thing) }));
  // GenEval lists the target of a relation first and says it last.
  return include.some(({ position }) => position !== undefined) ? named.reverse() : named;
}

function kindOf({ data }: World, label: string): Named | undefined {
  for (const cls of data.classes.keys()) {
    for (let color = 0; color <= data.colors.length; color++) {
      if (phraseOf(data, { cls, color }) === label) return { cls, color };
    }
  }
  return undefined;
}
