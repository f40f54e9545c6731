/**
 * Regions: boxes or a mask in pixels as sets of positions (one position is a square of `factor` pixels).
 *
 * @module
 */
import { z } from "zod";
import type { Picture } from "../model/types.ts";

/** [left, top, right, bottom] in pixels, right and bottom excluded. */
export const boxSchema = z.tuple([z.number(), z.number(), z.number(), z.number()])
  .refine(([left, top, right, bottom]) => left < right && top < bottom, { error: "is empty" });

export type PixelBox = z.infer<typeof boxSchema>;

/** Ascending positions whose squares a box touches. @param side positions a side */
export function positionsOfBoxes(boxes: readonly PixelBox[], side: number, factor: number): Uint32Array {
  return positionsWhere(
    side,
    (x, y) =>
      boxes.some(([left, top, right, bottom]) =>
        left < (x + 1) * factor && right > x * factor && top < (y + 1) * factor && bottom > y * factor
      ),
  );
}

/** Ascending positions that hold a pixel of the mask's light half (any channel >= 128). @param mask of side x factor */
export function positionsOfMask(mask: Picture, side: number, factor: number): Uint32Array {
  if (mask.width !== side * factor || mask.height !== side * factor) {
    throw new RangeError(`a mask of ${mask.width}x${mask.height} does not fit ${side * factor}x${side * factor}`);
  }
  const light = (x: number, y: number) => {
    for (let row = y * factor; row < (y + 1) * factor; row++) {
      const from = (row * mask.width + x * factor) * 3;
      if (mask.data.subarray(from, from + factor * 3).some((value) => value >= 128)) return true;
    }
    return false;
  };
  return positionsWhere(side, light);
}

function positionsWhere(side: number, inside: (x: number, y: number) => boolean): Uint32Array {
  const all = Uint32Array.from({ length: side * side }, (_, position) => position);
  return all.filter((position) => inside(position % side, Math.floor(position / side)));
}
