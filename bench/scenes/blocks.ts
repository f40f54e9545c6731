/**
 * Pictures and sprites in blocks of 4x4 pixels, at which the judge compares them: fine enough to tell every icon from
 * every other, coarse enough not to mind the soft edges of a VQ decoder.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import type { Sprite } from "./world.ts";

export const BLOCK = 4;

/** Mean colours of a picture's blocks, [rows, columns, 3] in 0..255. */
export interface Blocks {
  readonly side: number;
  readonly rgb: Float32Array;
}

export function blocksOf(picture: Picture): Blocks {
  const side = picture.width / BLOCK;
  const rgb = new Float32Array(side * side * 3);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      const to = ((y >> 2) * side + (x >> 2)) * 3, from = (y * picture.width + x) * 3;
      for (let c = 0; c < 3; c++) rgb[to + c] = (rgb[to + c] ?? 0) + (picture.data[from + c] ?? 0) / (BLOCK * BLOCK);
    }
  }
  return { side, rgb };
}

/** A sprite's blocks: premultiplied colour [n, n, 3] in 0..255 and cover [n, n] in 0..1. */
export interface Template {
  readonly side: number;
  readonly rgb: Float32Array;
  readonly cover: Float32Array;
  /** Blocks that are at least half covered. */
  readonly opaque: number;
}

export function templateOf(sprite: Sprite): Template {
  const side = sprite.size / BLOCK;
  const rgb = new Float32Array(side * side * 3), cover = new Float32Array(side * side);
  for (let y = 0; y < sprite.size; y++) {
    for (let x = 0; x < sprite.size; x++) {
      const from = (y * sprite.size + x) * 4, to = (y >> 2) * side + (x >> 2);
      const alpha = (sprite.data[from + 3] ?? 0) / 255 / (BLOCK * BLOCK);
      cover[to] = (cover[to] ?? 0) + alpha;
      for (let c = 0; c < 3; c++) rgb[to * 3 + c] = (rgb[to * 3 + c] ?? 0) + (sprite.data[from + c] ?? 0) * alpha;
    }
  }
  return { side, rgb, cover, opaque: cover.reduce((sum, value) => sum + (value >= 0.5 ? 1 : 0), 0) };
}

/** The plain colour that most of the picture has. */
export function groundOf(picture: Picture): readonly [number, number, number] {
  const counts = new Map<number, number>();
  const key = (i: number) => {
    const { data } = picture;
    return (((data[i] ?? 0) >> 3) << 10) | (((data[i + 1] ?? 0) >> 3) << 5) | ((data[i + 2] ?? 0) >> 3);
  };
  let best = 0;
  for (let i = 0; i < picture.data.length; i += 3) {
    const count = (counts.get(key(i)) ?? 0) + 1;
    counts.set(key(i), count);
    if (count > (counts.get(best) ?? 0)) best = key(i);
  }
  const sum: [number, number, number] = [0, 0, 0];
  for (let i = 0; i < picture.data.length; i += 3) {
    if (key(i) === best) { for (const c of [0, 1, 2] as const) sum[c] += picture.data[i + c] ?? 0; }
  }
  const n = counts.get(best) ?? 1;
  return [sum[0] / n, sum[1] / n, sum[2] / n];
}
