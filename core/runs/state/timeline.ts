/**
 * A picture's past, read from its sequence: the ids at an earlier step, and the picture with what was masked then
 * painted flat (docs/design.md, "The one idea").
 *
 * @module
 */
import type { Picture } from "../../model/types.ts";
import { cutBack, maskedPositions } from "../../tasks/sequence.ts";
import type { Sequence } from "../../tasks/task.ts";

/** The colour of what is not yet revealed: mid grey. */
const FLAT = 128;

/**
 * Ids that can be decoded: those revealed by step `step`, and `filler` elsewhere.
 *
 * @param filler a code that disturbs its neighbours little: the one nearest the codebook's mean
 */
export function idsAt(sequence: Sequence, step: number, filler: number): { ids: Uint16Array; masked: Uint32Array } {
  const past = cutBack(sequence, step);
  const masked = maskedPositions(past);
  const ids = Uint16Array.from(past.ids);
  for (const position of masked) ids[position] = filler;
  return { ids, masked };
}

/** A new picture with the squares of `masked` flat. The grid is as wide as the picture over the size of a square. */
export function paintFlat(picture: Picture, masked: Uint32Array, positions: number): Picture {
  const side = Math.sqrt((picture.width * picture.height) / positions);
  const columns = picture.width / side;
  const data = picture.data.slice();
  for (const position of masked) {
    const left = (position % columns) * side;
    const top = Math.floor(position / columns) * side;
    for (let y = top; y < top + side; y++) {
      const from = (y * picture.width + left) * 3;
      data.fill(FLAT, from, from + side * 3);
    }
  }
  return { ...picture, data };
}
