/**
 * The world's facts and sprites, read from world.json and atlas.png (both made by training/world/make_world.py).
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { pngCodec } from "../../core/image/imagescript.ts";

export type Rgb = readonly [number, number, number];

export interface WorldData {
  readonly canvas: number;
  readonly grid: number;
  readonly sizes: readonly number[];
  readonly max_objects: number;
  readonly atlas: {
    readonly columns: number;
    readonly tiles: readonly { readonly size: number; readonly top: number }[];
  };
  readonly classes: readonly {
    readonly name: string;
    readonly plural: string;
    readonly luminance: readonly [number, number];
  }[];
  readonly colors: readonly { readonly name: string; readonly dark: Rgb; readonly base: Rgb; readonly light: Rgb }[];
  readonly grounds: readonly { readonly name: string; readonly rgb: Rgb }[];
  readonly relations: readonly string[];
  readonly held_out: {
    readonly class_pairs: readonly (readonly [string, string])[];
    readonly class_colors: readonly (readonly [string, string])[];
  };
}

/** Straight-alpha RGBA, [size, size, 4]. */
export interface Sprite {
  readonly size: number;
  readonly data: Uint8Array;
}

export interface World {
  readonly data: WorldData;
  /** `color` 0 is the icon's own colours, 1.. the tints in world.json's order. */
  sprite(size: number, cls: number, color: number): Sprite;
}

/** An object of a scene: corner and size in pixels. */
export interface Thing {
  readonly cls: number;
  readonly color: number;
  readonly size: number;
  readonly x: number;
  readonly y: number;
}

export interface Scene {
  readonly ground: number;
  readonly things: readonly Thing[];
}

/** Integer arithmetic throughout: the same bytes as the Python twin (training/world/scenes.py). */
function tint(data: WorldData, icon: Uint8Array, cls: number, color: number): Uint8Array {
  const shades = data.colors[color];
  const range = data.classes[cls]?.luminance;
  if (shades === undefined || range === undefined) throw new RangeError(`no colour ${color} of class ${cls}`);
  const [low, high] = range;
  const out = new Uint8Array(icon.length);
  for (let i = 0; i < icon.length; i += 4) {
    const luminance = (54 * (icon[i] ?? 0) + 183 * (icon[i + 1] ?? 0) + 19 * (icon[i + 2] ?? 0)) >> 8;
    const t = Math.min(255, Math.max(0, Math.floor(((luminance - low) * 255) / (high - low))));
    for (let channel = 0; channel < 3; channel++) {
      const dark = shades.dark[channel] ?? 0, base = shades.base[channel] ?? 0, light = shades.light[channel] ?? 0;
      out[i + channel] = t < 128
        ? dark + Math.floor(((base - dark) * t) / 128)
        : base + Math.floor(((light - base) * (t - 128)) / 127);
    }
    out[i + 3] = icon[i + 3] ?? 0;
  }
  return out;
}

export async function loadWorld(): Promise<World> {
  const data: WorldData = JSON.parse(await readFile(new URL("./world.json", import.meta.url), "utf8"));
  const atlas = (await pngCodec()).decode(await readFile(new URL("./atlas.png", import.meta.url)));
  const sprites = new Map<string, Sprite>();
  const cut = (size: number, cls: number): Uint8Array => {
    const tile = data.atlas.tiles.find((candidate) => candidate.size === size);
    if (tile === undefined) throw new RangeError(`no sprites of ${size} px`);
    const left = (cls % data.atlas.columns) * size;
    const top = tile.top + Math.floor(cls / data.atlas.columns) * size;
    const out = new Uint8Array(size * size * 4);
    for (let y = 0; y < size; y++) {
      const start = ((top + y) * atlas.width + left) * 4;
      out.set(atlas.pixels.subarray(start, start + size * 4), y * size * 4);
    }
    return out;
  };
  const sprite = (size: number, cls: number, color: number): Sprite => {
    const key = `${size}/${cls}/${color}`;
    const known = sprites.get(key);
    if (known !== undefined) return known;
    const made = { size, data: color === 0 ? cut(size, cls) : tint(data, sprite(size, cls, 0).data, cls, color - 1) };
    sprites.set(key, made);
    return made;
  };
  return { data, sprite };
}
