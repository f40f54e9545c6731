/**
 * The pictures of the reference numbers, by their formula (parity README, "Pictures").
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";

export interface PictureFormula {
  readonly width: number;
  readonly height: number;
  readonly k: number;
}

export function formulaPicture({ width, height, k }: PictureFormula): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[i++] = Math.floor(255 * x / Math.max(width - 1, 1));
      data[i++] = Math.floor(255 * y / Math.max(height - 1, 1));
      data[i++] = (((x >> 3) ^ (y >> 3)) * (37 + 2 * k) + ((x * y) >> 6)) % 256;
    }
  }
  return { width, height, data };
}
