/**
 * Pictures and sprites in blocks of 4x4 pixels, at which the judge compares them. Both are smoothed alike, so that the
 * soft edges of a VQ decoder make no difference; plain means over tokens (16 px) beside them tell whether a token is
 * there at all.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import type { Rgb, Sprite } from "./world.ts";

/** Pixels of a block's side, and blocks of a token's side. */
export const BLOCK = 4;
export const TOKEN = 4;
const PIXELS = BLOCK * BLOCK;

/** Means over a square grid: colours [side, side, 3] in 0..255; of a sprite premultiplied, with cover [side, side]. */
export interface Grid {
  readonly side: number;
  readonly rgb: Float32Array;
  readonly cover: Float32Array;
}

export interface Levels {
  /** Smoothed over 3x3 blocks. */
  readonly blocks: Grid;
  readonly tokens: Grid;
}

export function levelsOfPicture({ width, data }: Picture): Levels {
  const raw = emptyGrid(width / BLOCK);
  for (let y = 0, from = 0; y < width; y++) {
    for (let x = 0; x < width; x++, from += 3) {
      const to = ((y >> 2) * raw.side + (x >> 2)) * 3;
      for (let c = 0; c < 3; c++) raw.rgb[to + c] = (raw.rgb[to + c] as number) + (data[from + c] as number);
    }
  }
  for (let i = 0; i < raw.rgb.length; i++) raw.rgb[i] = (raw.rgb[i] as number) / PIXELS;
  return levelsOf({ ...raw, cover: raw.cover.fill(1) });
}

export function levelsOfSprite({ size, data }: Sprite): Levels {
  const raw = emptyGrid(size / BLOCK);
  for (let y = 0, from = 0; y < size; y++) {
    for (let x = 0; x < size; x++, from += 4) {
      const to = (y >> 2) * raw.side + (x >> 2), alpha = (data[from + 3] as number) / 255 / PIXELS;
      raw.cover[to] = (raw.cover[to] as number) + alpha;
      for (let c = 0; c < 3; c++) {
        raw.rgb[to * 3 + c] = (raw.rgb[to * 3 + c] as number) + (data[from + c] as number) * alpha;
      }
    }
  }
  return levelsOf(raw);
}

function levelsOf(raw: Grid): Levels {
  const { side } = raw;
  return {
    blocks: { side, rgb: smooth(raw.rgb, side, 3), cover: smooth(raw.cover, side, 1) },
    tokens: tokensOf(raw),
  };
}

function emptyGrid(side: number): Grid {
  return { side, rgb: new Float32Array(side * side * 3), cover: new Float32Array(side * side) };
}

function tokensOf({ side, rgb, cover }: Grid): Grid {
  const out = emptyGrid(side / TOKEN), share = 1 / (TOKEN * TOKEN);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = y * side + x, to = Math.floor(y / TOKEN) * out.side + Math.floor(x / TOKEN);
      for (let c = 0; c < 3; c++) {
        out.rgb[to * 3 + c] = (out.rgb[to * 3 + c] as number) + (rgb[from * 3 + c] as number) * share;
      }
      out.cover[to] = (out.cover[to] as number) + (cover[from] as number) * share;
    }
  }
  return out;
}

/** Weights 1 2 1 along both axes; the margin repeats. */
function smooth(values: Float32Array, side: number, channels: number): Float32Array {
  const along = (from: Float32Array, stepY: number, stepX: number): Float32Array => {
    const out = new Float32Array(from.length), last = side - 1;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const before = (Math.max(0, y - stepY) * side + Math.max(0, x - stepX)) * channels;
        const after = (Math.min(last, y + stepY) * side + Math.min(last, x + stepX)) * channels;
        const here = (y * side + x) * channels;
        for (let c = 0; c < channels; c++) {
          out[here + c] =
            ((from[before + c] as number) + 2 * (from[here + c] as number) + (from[after + c] as number)) / 4;
        }
      }
    }
    return out;
  };
  return along(along(values, 0, 1), 1, 0);
}

/** The plain colour that most of the picture has. */
export function groundOf({ data }: Picture): Rgb {
  // A noisy ground spreads over neighbouring bins, so the fullest bin is only where the search begins.
  const counts = new Uint32Array(1 << 12);
  const bin = (i: number) =>
    ((data[i] as number) >> 4 << 8) | ((data[i + 1] as number) >> 4 << 4) | (data[i + 2] as number) >> 4;
  for (let i = 0; i < data.length; i += 3) counts[bin(i)] = (counts[bin(i)] as number) + 1;
  const fullest = counts.indexOf(counts.reduce((most, count) => Math.max(most, count), 0));
  let center: Rgb = [(fullest >> 8) * 16 + 8, ((fullest >> 4) & 15) * 16 + 8, (fullest & 15) * 16 + 8];
  for (let round = 0; round < 3; round++) {
    const sum = [0, 0, 0];
    let n = 0;
    for (let i = 0; i < data.length; i += 3) {
      const r = data[i] as number, g = data[i + 1] as number, b = data[i + 2] as number;
      if (Math.max(Math.abs(r - center[0]), Math.abs(g - center[1]), Math.abs(b - center[2])) > 14) continue;
      sum[0] = (sum[0] as number) + r;
      sum[1] = (sum[1] as number) + g;
      sum[2] = (sum[2] as number) + b;
      n++;
    }
    if (n === 0) break;
    center = [(sum[0] as number) / n, (sum[1] as number) / n, (sum[2] as number) / n];
  }
  return center;
}
