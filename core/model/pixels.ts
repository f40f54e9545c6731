/**
 * Pictures as the VQ graphs see them: fp32 [1, 3, height, width].
 *
 * @module
 */
import type { HostTensor } from "../engine/types.ts";
import type { Picture } from "./types.ts";

/** 8-bit RGB to values 0 to 1. */
export function toPlanes(picture: Picture): HostTensor {
  const { width, height } = picture;
  const size = width * height;
  const data = new Float32Array(3 * size);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      data[channel * size + pixel] = (picture.data[pixel * 3 + channel] ?? 0) / 255;
    }
  }
  return { dtype: "float32", dims: [1, 3, height, width], data };
}

/** Planes to 8-bit RGB: clipped to [0, 1], times 255 in fp32, truncated (facts 7). */
export function fromPlanes(planes: Float32Array, width: number, height: number): Picture {
  const size = width * height;
  const data = new Uint8Array(3 * size);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = Math.min(Math.max(planes[channel * size + pixel] ?? 0, 0), 1);
      data[pixel * 3 + channel] = Math.fround(value * 255);
    }
  }
  return { width, height, data };
}
