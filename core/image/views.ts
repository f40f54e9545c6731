/**
 * What the vision tower looks at: square views of a picture, and the order in which their pooled cells become tokens,
 * with a newline at the end of each row (facts 7).
 *
 * @module
 */
import type { HostTensor } from "../engine/types.ts";
import type { Picture } from "../model/types.ts";
import { crop, ground, paste, squareOffset } from "./frame.ts";
import { resize } from "./resize.ts";

/** Ground of the base view: the tower's mean, 0.5, in 8 bits. */
const BASE_GROUND = 127;

export interface ViewGeometry {
  /** Side of a view, in pixels. */
  readonly side: number;
  /** Pooled cells along a view's side: 13 of 27 patches. */
  readonly cells: number;
  /** Sizes [width, height] that a picture may be cut to tiles from, whole multiples of `side`. */
  readonly pinpoints: readonly (readonly [width: number, height: number])[];
}

export interface Views {
  /** The base view first, then tiles row by row; each `side` x `side`. */
  readonly views: readonly Picture[];
  /** The tokens: view * cells^2 + cell (row-major), or {@link NEWLINE}. */
  readonly order: Int32Array;
  readonly tiles: { readonly across: number; readonly down: number };
  /** The chosen pinpoint; undefined for a single view. */
  readonly resolution: readonly [width: number, height: number] | undefined;
}

export const NEWLINE = -1;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The pinpoint that keeps most of the picture's pixels; of equals the one that wastes least, then the first. */
export function choosePinpoint(size: Size, pinpoints: ViewGeometry["pinpoints"]): readonly [number, number] {
  let best: readonly [number, number] | undefined;
  let bestKept = 0;
  let bestWaste = Infinity;
  for (const pinpoint of pinpoints) {
    const [width, height] = pinpoint;
    const scale = Math.min(width / size.width, height / size.height);
    const pixels = Math.trunc(size.width * scale) * Math.trunc(size.height * scale);
    const kept = Math.min(pixels, size.width * size.height);
    const waste = width * height - kept;
    if (best === undefined || kept > bestKept || (kept === bestKept && waste < bestWaste)) {
      best = pinpoint;
      bestKept = kept;
      bestWaste = waste;
    }
  }
  if (best === undefined) throw new RangeError("there is no pinpoint to choose from");
  return best;
}

/** The whole picture on a grey square, the base view. */
export function baseView(picture: Picture, side: number): Picture {
  const { side: whole, left, top } = squareOffset(picture, Math.floor);
  const square = picture.width === picture.height ? picture : paste(
    ground(whole, whole, BASE_GROUND),
    picture,
    left,
    top,
  );
  return resize(square, side, side, "bicubic");
}

/** One picture alone in a prompt: base view and tiles of the best pinpoint. */
export function anyresViews(picture: Picture, geometry: ViewGeometry): Views {
  const { side, cells, pinpoints } = geometry;
  const resolution = choosePinpoint(picture, pinpoints);
  const whole = fit(picture, resolution);
  const tiles = { across: resolution[0] / side, down: resolution[1] / side };
  const views = [baseView(picture, side)];
  for (let row = 0; row < tiles.down; row++) {
    for (let column = 0; column < tiles.across; column++) {
      views.push(crop(whole, column * side, row * side, side, side));
    }
  }
  return { views, order: tokenOrder(picture, tiles, cells), tiles, resolution };
}

/** One of several pictures: the base view and one newline behind it. */
export function singleView(picture: Picture, geometry: ViewGeometry): Views {
  const count = geometry.cells ** 2;
  const order = Int32Array.from({ length: count + 1 }, (_, i) => i < count ? i : NEWLINE);
  return {
    views: [baseView(picture, geometry.side)],
    order,
    tiles: { across: 0, down: 0 },
    resolution: undefined,
  };
}

/** Resized to fit, centred on black. */
function fit(picture: Picture, [width, height]: readonly [number, number]): Picture {
  const horizontal = width / picture.width;
  const vertical = height / picture.height;
  const size = horizontal < vertical
    ? { width, height: Math.min(Math.ceil(picture.height * horizontal), height) }
    : { width: Math.min(Math.ceil(picture.width * vertical), width), height };
  const small = resize(picture, size.width, size.height, "bicubic");
  if (size.width === width && size.height === height) return small;
  const left = Math.floor((width - size.width) / 2);
  const top = Math.floor((height - size.height) / 2);
  return paste(ground(width, height, 0), small, left, top);
}

/** Base cells, then the stitched tiles without the rows or columns that are padding, a newline after each row. */
function tokenOrder(size: Size, tiles: { readonly across: number; readonly down: number }, cells: number): Int32Array {
  const order = Array.from({ length: cells * cells }, (_, cell) => cell);
  const columns = tiles.across * cells;
  const rows = tiles.down * cells;
  let [left, top] = [0, 0];
  if (size.width / size.height > columns / rows) {
    top = Math.floor((rows - Math.trunc(size.height * (columns / size.width))) / 2);
  } else left = Math.floor((columns - Math.trunc(size.width * (rows / size.height))) / 2);
  for (let y = top; y < rows - top; y++) {
    for (let x = left; x < columns - left; x++) {
      const view = 1 + Math.floor(y / cells) * tiles.across + Math.floor(x / cells);
      order.push((view * cells + y % cells) * cells + x % cells);
    }
    order.push(NEWLINE);
  }
  return Int32Array.from(order);
}

/** Views as the tower's input: fp32 [views, 3, side, side], (v / 255 - 0.5) / 0.5. */
export function viewPixels(views: readonly Picture[]): HostTensor {
  const { width, height } = views[0] ?? { width: 0, height: 0 };
  const size = width * height;
  const data = new Float32Array(views.length * 3 * size);
  for (const [index, view] of views.entries()) {
    for (let pixel = 0; pixel < size; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = Math.fround((view.data[pixel * 3 + channel] ?? 0) / 255);
        data[(index * 3 + channel) * size + pixel] = (value - 0.5) / 0.5;
      }
    }
  }
  return { dtype: "float32", dims: [views.length, 3, height, width], data };
}
