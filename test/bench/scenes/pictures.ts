import type { Picture } from "../../../core/model/types.ts";
import type { Scene } from "../../../bench/scenes/world.ts";

export type Numbers = readonly [cls: number, color: number, size: number, x: number, y: number];

/** A scene on the first ground. */
export function sceneOf(...things: readonly Numbers[]): Scene {
  return { ground: 0, things: things.map(([cls, color, size, x, y]) => ({ cls, color, size, x, y })) };
}

/** `into` with the rectangle of `from` at the same place. */
export function patch(into: Picture, from: Picture, x: number, y: number, width: number, height: number): Picture {
  const data = into.data.slice();
  for (let row = y; row < y + height; row++) {
    const start = (row * into.width + x) * 3;
    data.set(from.data.subarray(start, start + width * 3), start);
  }
  return { ...into, data };
}

/** What a VQ decoder does, and worse: a 5x5 blur, a tint of the whole, and noise in 2x2 squares. */
export function distort(picture: Picture, seed: number): Picture {
  const { width, height } = picture;
  const data = new Uint8Array(picture.data.length);
  let state = seed >>> 0;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5;
  const cast = [random() * 10, random() * 10, random() * 10];
  const noise = Float32Array.from({ length: (width / 2) * (height / 2) }, () => random() * 24);
  const at = (x: number, y: number, c: number) =>
    picture.data[(Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) * 3 + c] ?? 0;
  const weights = [1, 2, 3, 2, 1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (const [dy, wy] of weights.entries()) {
          for (const [dx, wx] of weights.entries()) sum += wx * wy * at(x + dx - 2, y + dy - 2, c);
        }
        const value = sum / 81 + (cast[c] ?? 0) + (noise[(y >> 1) * (width / 2) + (x >> 1)] ?? 0);
        data[(y * width + x) * 3 + c] = Math.max(0, Math.min(255, Math.round(value)));
      }
    }
  }
  return { width, height, data };
}
