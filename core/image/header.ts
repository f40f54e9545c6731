/**
 * Format and size of a picture from its first bytes, so that a small file which unpacks to gigabytes is refused before
 * anything unpacks it.
 *
 * Source: PNG (W3C, 3rd edition) 11.2.1; JPEG (ITU T.81) B.2.2; WebP container (RFC 9649) 2.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";

export type InputFormat = "png" | "jpeg" | "webp";

export interface ImageHeader {
  readonly format: InputFormat;
  /** Pixels, at least 1. */
  readonly width: number;
  readonly height: number;
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * @throws {UnmaskError} `image_format_unsupported` if it is neither PNG, JPEG nor WebP; `image_unreadable` if it is one
 * of them and broken
 */
export function readHeader(bytes: Uint8Array): ImageHeader {
  const header = parse(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (header.width < 1 || header.height < 1) throw unreadable(header.format, "it has no pixels");
  return header;
}

/** @throws what {@link readHeader} throws; `image_too_large` (413) above `maximumPixels` */
export function readBoundedHeader(bytes: Uint8Array, maximumPixels: number): ImageHeader {
  const header = readHeader(bytes);
  if (header.width * header.height <= maximumPixels) return header;
  throw new UnmaskError({
    code: "image_too_large",
    message: `the picture has ${header.width} x ${header.height} pixels`,
    fix: `send one of at most ${maximumPixels} pixels`,
    param: "image",
    status: 413,
  });
}

export function unreadable(format: InputFormat, problem: string, cause?: unknown): UnmaskError {
  return new UnmaskError({
    code: "image_unreadable",
    message: `the ${format} picture cannot be read: ${problem}`,
    fix: "save it again with another program, as PNG or JPEG",
    param: "image",
    cause,
  });
}

function parse(bytes: Uint8Array, view: DataView): ImageHeader {
  if (PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) return png(bytes, view);
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return jpeg(bytes, view);
  if (ascii(bytes, 0) === "RIFF" && ascii(bytes, 8) === "WEBP") return webp(bytes, view);
  throw new UnmaskError({
    code: "image_format_unsupported",
    message: "the picture is neither PNG, JPEG nor WebP",
    fix: "send a PNG, a JPEG or a WebP",
    param: "image",
    status: 415,
  });
}

function png(bytes: Uint8Array, view: DataView): ImageHeader {
  if (bytes.length < 33 || ascii(bytes, 12) !== "IHDR") throw unreadable("png", "its header is missing");
  return { format: "png", width: view.getUint32(16), height: view.getUint32(20) };
}

/** Markers without a length: TEM, RST0-7. */
const bare = (marker: number) => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7);
/** Frame headers: SOF0-15 without DHT, JPG and DAC. */
const frame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

function jpeg(bytes: Uint8Array, view: DataView): ImageHeader {
  for (let at = 2; at + 3 < bytes.length;) {
    if (bytes[at] !== 0xff) throw unreadable("jpeg", "a marker is missing");
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff) {
      at++; // fill byte
      continue;
    }
    if (bare(marker)) {
      at += 2;
      continue;
    }
    // Start of scan or end of image before any frame header.
    if (marker === 0xda || marker === 0xd9) break;
    const length = view.getUint16(at + 2);
    if (frame(marker)) {
      if (length < 8 || at + 9 > bytes.length) break;
      return { format: "jpeg", width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    at += 2 + length;
  }
  throw unreadable("jpeg", "its frame header is missing");
}

function webp(bytes: Uint8Array, view: DataView): ImageHeader {
  if (bytes.length < 30) throw unreadable("webp", "its header is missing");
  const u24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  switch (ascii(bytes, 12)) {
    case "VP8 ":
      return { format: "webp", width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    case "VP8L": {
      const bits = view.getUint32(21, true);
      return { format: "webp", width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { format: "webp", width: u24(24) + 1, height: u24(27) + 1 };
    default:
      throw unreadable("webp", "its first chunk is unknown");
  }
}

function ascii(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
