/**
 * The parts of imagescript that are used, with types. Each is loaded when it is first needed: a server that only writes
 * PNG loads no addon and no WebAssembly.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface PngCodec {
  /** `channels` 3: RGB. `level` 0 to 9, of deflate. */
  encode(data: Uint8Array, options: Size & { readonly channels: 3; readonly level: number }): Uint8Array;
  /** RGBA, not premultiplied; for our own files only: it checks nothing. Needs no permission beside reading itself. */
  decode(bytes: Uint8Array): Size & { readonly pixels: Uint8Array };
}

/** [height, width, 4] */
export interface RgbaDecoder {
  decode(bytes: Uint8Array): Size & { readonly framebuffer: Uint8Array };
}

/** `format` 0: one grey byte, 1: RGB, 2: CMYK, 255 being full ink. */
export interface JpegDecoder {
  decode(bytes: Uint8Array): Size & { readonly format: number; readonly buffer: Uint8Array };
}

/** `data` is RGBA. */
export interface LossyEncoder {
  encode(data: Uint8Array, options: Size & { readonly quality: number }): Uint8Array;
}

/** Filled boxes on RGBA pixels. */
export interface Drawing {
  /** `left` and `top` from 0, wholly inside; `color` 0xrrggbbaa. */
  box(left: number, top: number, width: number, height: number, color: number): void;
  rgba(): Uint8Array;
}

/** @throws {UnmaskError} `codec_unavailable` (501): its drawing part loads the addon too */
export async function drawingOn(width: number, height: number, rgba: Uint8Array): Promise<Drawing> {
  const { Image } = await withAddon("use png without boxes", async () => (await import("imagescript")).default);
  const image = new Image(width, height);
  image.bitmap.set(rgba);
  return {
    // It counts from 1.
    box: (left, top, width, height, color) => void image.drawBox(left + 1, top + 1, width, height, color),
    rgba: () => Uint8Array.from(image.bitmap),
  };
}

export async function pngCodec(): Promise<PngCodec> {
  return (await import("imagescript/png/node.js")).default;
}

/** A fresh instance for each picture: a trap on a broken file leaves the instance it hit in an unknown state. */
export async function pngDecoder(): Promise<RgbaDecoder> {
  return await (await import("imagescript/wasm/node/png.js")).default.init();
}

export async function jpegDecoder(): Promise<JpegDecoder> {
  return await (await import("imagescript/wasm/node/jpeg.js")).default.init();
}

/** @throws {UnmaskError} `codec_unavailable` (501) where native addons may not be loaded */
export async function lossyEncoders(): Promise<Readonly<Record<"jpeg" | "webp", LossyEncoder>>> {
  return await withAddon("use png", async () => (await import("imagescript/codecs/node/index.js")).default);
}

async function withAddon<T>(instead: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new UnmaskError({
      code: "codec_unavailable",
      message: "this server may not load the addon that writes JPEG and WebP, and draws",
      fix: `${instead}, or run it with --allow-ffi=node_modules`,
      param: "output_format",
      status: 501,
      cause,
    });
  }
}
