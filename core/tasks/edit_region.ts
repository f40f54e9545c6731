/**
 * What bounds an edit: the positions that it draws, from a mask or from the boxes of its plan.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { squareForVq } from "../image/frame.ts";
import { type PixelBox, positionsOfBoxes, positionsOfMask } from "../image/region.ts";
import type { LocBox, PlannedObject } from "../model/boxes.ts";
import type { Model, Picture } from "../model/types.ts";
import { unusedOption } from "./draw_refusals.ts";
import { missing } from "./task_input.ts";

export const LOCKS = ["none", "mask", "plan"] as const;
export type Lock = (typeof LOCKS)[number];

export interface Bounds {
  readonly lock: Lock | undefined;
  readonly mask: Picture | undefined;
  readonly plan: { readonly objects: readonly PlannedObject[] } | undefined;
  readonly picture: Picture;
}

/**
 * Ascending positions that an edit draws; null: all.
 *
 * @throws {UnmaskError} `mask_missing`, `plan_missing`, `option_unused`, `mask_size_mismatch`, `region_empty`
 */
export function lockedRegion({ lock, mask, plan, picture }: Bounds, model: Model): Uint32Array | null {
  const by = lock ?? (mask === undefined ? "none" : "mask");
  if (mask !== undefined && by !== "mask") throw unusedOption("mask", "the lock mask");
  if (by === "none") return null;
  if (by === "mask") {
    if (mask === undefined) throw missing("mask");
    return regionOfMask(mask, picture, model);
  }
  if (plan === undefined) throw missing("plan");
  const { grid, nativeResolution: side, locTokens } = model.config;
  const boxes = plan.objects.flatMap((object) => object.boxes.map((loc) => onCanvas(loc, side / (locTokens - 1))));
  return filled(positionsOfBoxes(boxes, grid, side / grid), "the plan", "plan");
}

/** Plans are in the frame of the picture padded to a square, and so is the canvas. */
function onCanvas([x1, y1, x2, y2]: LocBox, scale: number): PixelBox {
  return [x1 * scale, y1 * scale, x2 * scale, y2 * scale];
}

/** Positions under a light pixel. */
function regionOfMask(mask: Picture, { width, height }: Picture, { config }: Model): Uint32Array {
  if (mask.width !== width || mask.height !== height) {
    throw new UnmaskError({
      code: "mask_size_mismatch",
      message: `the mask has ${mask.width} x ${mask.height} pixels and the picture ${width} x ${height}`,
      fix: "send a mask of the picture's own size",
      param: "mask",
    });
  }
  const { grid, nativeResolution } = config;
  const region = positionsOfMask(squareForVq(mask, nativeResolution), grid, nativeResolution / grid);
  return filled(region, "the mask", "mask");
}

function filled(region: Uint32Array, what: string, param: string): Uint32Array {
  if (region.length > 0) return region;
  throw new UnmaskError({
    code: "region_empty",
    message: `${what} leaves nothing to edit`,
    fix: param === "mask"
      ? "make it transparent where the picture shall be edited, or leave it out"
      : "give boxes that are not empty, or another lock",
    param,
  });
}
