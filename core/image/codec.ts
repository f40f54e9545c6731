/**
 * Files to pixels and back: PNG, JPEG and WebP; the same pixels give the same bytes
 * (no clock, no metadata).
 *
 * Reading runs in WebAssembly and writing PNG in JavaScript; JPEG and WebP are written by imagescript's native addon,
 * which needs `--allow-ffi` on node_modules. All of it needs `--allow-read` there and
 * `--allow-env=IMAGESCRIPT_WASM_SIMD`.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import type { Picture } from "../model/types.ts";
import { readBoundedHeader, unreadable } from "./header.ts";
import { jpegDecoder, lossyEncoders, pngCodec, pngDecoder } from "./imagescript.ts";
import { webpDecoder } from "./webp.ts";
import { clearIsLight, cmykToRgb, greyToRgb, rgbaOnWhite, toRgba } from "./channels.ts";

export const OUTPUT_FORMATS = ["png", "jpeg", "webp"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Above it a picture is refused by its header: 16 million pixels, 48 MB as RGB. */
export const MAXIMUM_PIXELS = 4096 * 4096;

/** JPEG and WebP without a quality. */
export const DEFAULT_QUALITY = 90;

/**
 * Pixels to a file's bytes.
 *
 * @param quality 0 to 100; JPEG and WebP only
 * @throws {UnmaskError} `quality_unsupported`, `quality_out_of_range`, `codec_unavailable` (501)
 */
export async function encodePicture(picture: Picture, format: OutputFormat, quality?: number): Promise<Uint8Array> {
  const { width, height, data } = picture;
  if (data.length !== 3 * width * height) throw new RangeError(`${data.length} bytes are no ${width} x ${height} RGB`);
  if (format === "png") {
    // Level 6 takes more than twice as long for a fourteenth, level 9 twenty times for one more fiftieth.
    if (quality === undefined) return (await pngCodec()).encode(data, { width, height, channels: 3, level: 3 });
    throw new UnmaskError({
      code: "quality_unsupported",
      message: "png is lossless and has no quality",
      fix: "leave quality out, or choose jpeg or webp",
      param: "quality",
    });
  }
  const level = quality ?? DEFAULT_QUALITY;
  if (!(level >= 0 && level <= 100)) {
    throw new UnmaskError({
      code: "quality_out_of_range",
      message: `quality is ${level}`,
      fix: "use 0 to 100",
      param: "quality",
    });
  }
  const encoder = (await lossyEncoders())[format];
  // The scale of JPEG quality begins at 1.
  return encoder.encode(toRgba(data), {
    width,
    height,
    quality: Math.max(format === "jpeg" ? 1 : 0, Math.round(level)),
  });
}

/**
 * A file's bytes to pixels. Transparent pixels are shown on white, as a page would. Orientation tags are not followed.
 *
 * @throws {UnmaskError} `image_format_unsupported` (415), `image_too_large` (413), `image_unreadable`
 */
export async function decodePicture(bytes: Uint8Array, maximumPixels = MAXIMUM_PIXELS): Promise<Picture> {
  const { format, width, height } = readBoundedHeader(bytes, maximumPixels);
  const decoded = await DECODERS[format](bytes);
  if (decoded.width !== width || decoded.height !== height || decoded.data.length !== 3 * width * height) {
    throw unreadable(format, "its data do not fit its header");
  }
  return decoded;
}

/**
 * A mask's file as a picture: light where it is transparent, dark elsewhere, which is what is to be edited and what is to
 * stay (OpenAI's masks).
 *
 * @throws {UnmaskError} `mask_format_unsupported` (415) for JPEG, which has no transparency; what `decodePicture` throws
 */
export async function decodeMask(bytes: Uint8Array, maximumPixels = MAXIMUM_PIXELS): Promise<Picture> {
  const { format } = readBoundedHeader(bytes, maximumPixels);
  if (format === "jpeg") {
    throw new UnmaskError({
      code: "mask_format_unsupported",
      message: "a jpeg has no transparency, and a mask is where it is transparent",
      fix: "send the mask as a PNG with an alpha channel",
      param: "mask",
      status: 415,
    });
  }
  const { width, height, framebuffer } = format === "png" ? await rgbaOfPng(bytes) : await rgbaOfWebp(bytes);
  return { width, height, data: clearIsLight(framebuffer) };
}

async function rgbaOfPng(bytes: Uint8Array) {
  const decoder = await pngDecoder();
  return guarded("png", () => decoder.decode(bytes));
}

async function decodePng(bytes: Uint8Array): Promise<Picture> {
  const { width, height, framebuffer } = await rgbaOfPng(bytes);
  return { width, height, data: rgbaOnWhite(framebuffer) };
}

async function decodeJpeg(bytes: Uint8Array): Promise<Picture> {
  const decoder = await jpegDecoder();
  const { width, height, format, buffer } = guarded("jpeg", () => decoder.decode(bytes));
  switch (format) {
    case 0:
      return { width, height, data: greyToRgb(buffer) };
    case 1:
      return { width, height, data: buffer };
    case 2:
      return { width, height, data: cmykToRgb(buffer) };
    default:
      throw unreadable("jpeg", "its colours are of an unknown kind");
  }
}

async function decodeWebp(bytes: Uint8Array): Promise<Picture> {
  const { width, height, framebuffer } = await rgbaOfWebp(bytes);
  return { width, height, data: rgbaOnWhite(framebuffer) };
}

async function rgbaOfWebp(bytes: Uint8Array) {
  const decode = await webpDecoder();
  try {
    return await decode(bytes);
  } catch (cause) {
    // Also an animation, which is more than one picture.
    throw unreadable("webp", "its data are damaged, cut off, or an animation", cause);
  }
}

const DECODERS = { png: decodePng, jpeg: decodeJpeg, webp: decodeWebp };

/** A broken file shows as an error or as a trap of the WebAssembly. */
function guarded<T>(format: "png" | "jpeg", decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw unreadable(format, "its data are damaged or cut off", cause);
  }
}
