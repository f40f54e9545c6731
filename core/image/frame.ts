/**
 * Pictures put on a larger ground, cut out of a picture, and the square that the VQ tokenizer sees (facts 7).
 *
 * @module
 */
import type { Picture } from "../model/types.ts";
import { resize } from "./resize.ts";

/** 0 to 255, the same in each channel. */
export type Grey = number;

export function ground(width: number, height: number, grey: Grey): Picture {
  return { width, height, data: new Uint8Array(3 * width * height).fill(grey) };
}

/** A new picture: `top` lies on `under` with its corner at (left, y), wholly inside. */
export function paste(under: Picture, top: Picture, left: number, y: number): Picture {
  if (left < 0 || y < 0 || left + top.width > under.width || y + top.height > under.height) {
    throw new RangeError(`${top.width}x${top.height} at ${left},${y} leaves ${under.width}x${under.height}`);
  }
  const data = under.data.slice();
  for (let row = 0; row < top.height; row++) {
    data.set(top.data.subarray(row * top.width * 3, (row + 1) * top.width * 3), ((y + row) * under.width + left) * 3);
  }
  return { ...under, data };
}

/** The part of `width` x `height` pixels whose corner is at (left, top), wholly inside. */
export function crop(picture: Picture, left: number, top: number, width: number, height: number): Picture {
  if (left < 0 || top < 0 || left + width > picture.width || top + height > picture.height) {
    throw new RangeError(`${width}x${height} at ${left},${top} leaves ${picture.width}x${picture.height}`);
  }
  const data = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * picture.width + left) * 3;
    data.set(picture.data.subarray(from, from + 3 * width), row * width * 3);
  }
  return { width, height, data };
}

/** To the nearest whole number, halves to the even one. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Where a picture lies in the square around it: whole pixels, by `round` of half the difference. */
export function squareOffset(
  { width, height }: { readonly width: number; readonly height: number },
  round: (value: number) => number,
): { readonly side: number; readonly left: number; readonly top: number } {
  const side = Math.max(width, height);
  return { side, left: round((side - width) / 2), top: round((side - height) / 2) };
}

/** Padding of the VQ path rounds half to even, unlike that of the SigLIP base view and the boxes (facts 7). */
export function vqOffset(size: { readonly width: number; readonly height: number }) {
  return squareOffset(size, roundHalfEven);
}

/** The source of an edit as the VQ tokenizer sees it: centred on a black square, bicubic to `side` pixels. */
export function squareForVq(picture: Picture, side: number): Picture {
  const { side: whole, left, top } = vqOffset(picture);
  const square = left === 0 && top === 0 && picture.width === picture.height
    ? picture
    : paste(ground(whole, whole, 0), picture, left, top);
  return resize(square, side, side, "bicubic");
}

/** What the published demo does to pictures first: the shortest side to `side` (Lanczos), then the centre square. */
export function centerSquare(picture: Picture, side: number): Picture {
  const { width, height } = picture;
  const longer = Math.trunc(side * Math.max(width, height) / Math.min(width, height));
  const small = width <= height ? resize(picture, side, longer, "lanczos") : resize(picture, longer, side, "lanczos");
  return crop(small, (small.width - side) >> 1, (small.height - side) >> 1, side, side);
}
