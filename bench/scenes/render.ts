/**
 * Scenes to pixels: the same bytes as training/world/scenes.py.
 *
 * @module
 */
import type { Picture } from "../../core/model/types.ts";
import type { Scene, World } from "./world.ts";

/** 8-bit RGB of `canvas` x `canvas` pixels. */
export function render(world: World, scene: Scene): Picture {
  const side = world.data.canvas;
  const ground = world.data.grounds[scene.ground]?.rgb;
  if (ground === undefined) throw new RangeError(`no ground ${scene.ground}`);
  const data = new Uint8Array(side * side * 3);
  for (let i = 0; i < data.length; i++) data[i] = ground[i % 3] ?? 0;
  for (const thing of scene.things) {
    const sprite = world.sprite(thing.size, thing.cls, thing.color).data;
    for (let y = 0; y < thing.size; y++) {
      for (let x = 0; x < thing.size; x++) {
        const from = (y * thing.size + x) * 4;
        const to = ((thing.y + y) * side + thing.x + x) * 3;
        const alpha = sprite[from + 3] ?? 0;
        for (let channel = 0; channel < 3; channel++) {
          const mixed = (sprite[from + channel] ?? 0) * alpha + (data[to + channel] ?? 0) * (255 - alpha);
          data[to + channel] = Math.floor((mixed + 127) / 255);
        }
      }
    }
  }
  return { width: side, height: side, data };
}
