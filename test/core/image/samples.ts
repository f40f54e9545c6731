/** Small pictures made by hand, in forms that our own encoder never writes. */
import { crc32, deflateSync } from "node:zlib";

function joined(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = joined(new TextEncoder().encode(type), data);
  const out = new Uint8Array(body.length + 8);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(body, 4);
  view.setUint32(body.length + 4, crc32(body));
  return out;
}

export interface PngParts {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  /** 0 grey, 2 RGB, 3 palette, 6 RGBA. */
  readonly colour: number;
  readonly palette?: number[];
  /** Rows with their filter byte, before deflate. */
  readonly rows: number[];
}

export function pngFile({ width, height, depth, colour, palette, rows }: PngParts): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([depth, colour], 8);
  return joined(
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    ...(palette === undefined ? [] : [chunk("PLTE", Uint8Array.from(palette))]),
    chunk("IDAT", deflateSync(Uint8Array.from(rows))),
    chunk("IEND", new Uint8Array(0)),
  );
}

/**
 * A JPEG of 8x8 equal pixels, one component a value, 0 or 255: baseline, quantiser 8, so a DC coefficient c is the
 * value 128 + c. Four components get Adobe's marker; its CMYK is stored inverted, 0 being full ink.
 */
export function jpegFile(values: readonly (0 | 255)[]): Uint8Array {
  const segment = (marker: number, ...data: number[]) => [0xff, marker, 0, data.length + 2, ...data];
  // DC codes: 0 -> size 0, 100 -> size 7, 101 -> size 8. AC code: 0 -> end of block.
  const dc = [0x00, 1, 0, 2, ...Array<number>(13).fill(0), 0, 7, 8];
  const ac = [0x10, 1, ...Array<number>(15).fill(0), 0];
  const bits = values.map((value) => (value === 255 ? "100" + "1111111" : "101" + "01111111") + "0").join("");
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  const data = (padded.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)).flatMap((b) => b === 0xff ? [b, 0] : [b]);
  const components = values.flatMap((_, i) => [i + 1, 0x11, 0]);
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...(values.length === 4 ? segment(0xee, ...new TextEncoder().encode("Adobe"), 0, 100, 0, 0, 0, 0, 0) : []),
    ...segment(0xdb, 0, ...Array<number>(64).fill(8)),
    ...segment(0xc0, 8, 0, 8, 0, 8, values.length, ...components),
    ...segment(0xc4, ...dc),
    ...segment(0xc4, ...ac),
    ...segment(0xda, values.length, ...values.flatMap((_, i) => [i + 1, 0]), 0, 63, 0),
    ...data,
    ...[0xff, 0xd9],
  ]);
}
