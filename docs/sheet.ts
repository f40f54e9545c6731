/**
 * Pictures in rows on white.
 *
 * @module
 */
import { ground, paste } from "../core/image/frame.ts";
import type { Picture } from "../core/model/types.ts";

/** Between pictures, in pixels. */
const GAP = 8;
const WHITE = 255;

/** @param pictures of one size, in reading order */
export function sheetOf(pictures: readonly Picture[], columns: number): Picture {
  const [first] = pictures;
  if (first === undefined) throw new RangeError("a sheet has one picture at least");
  const { width, height } = first, rows = Math.ceil(pictures.length / columns);
  const blank = ground(columns * (width + GAP) - GAP, rows * (height + GAP) - GAP, WHITE);
  return pictures.reduce((sheet, picture, index) => {
    const row = Math.floor(index / columns);
    return paste(sheet, picture, (index % columns) * (width + GAP), row * (height + GAP));
  }, blank);
}
