import { expect, test } from "vitest";
import { readBoundedHeader, readHeader } from "../../../core/image/header.ts";
import { jpegFile, pngFile } from "./samples.ts";

const text = (value: string) => [...new TextEncoder().encode(value)];

/** RIFF container with one chunk, padded to 40 bytes. */
function webpFile(chunk: string, ...data: number[]): Uint8Array {
  const bytes = new Uint8Array(40);
  bytes.set([...text("RIFF"), 32, 0, 0, 0, ...text("WEBP"), ...text(chunk), 20, 0, 0, 0, ...data]);
  return bytes;
}

test("sizes of every form", () => {
  const png = pngFile({ width: 70_000, height: 3, depth: 8, colour: 0, rows: [0] });
  expect(readHeader(png)).toEqual({ format: "png", width: 70_000, height: 3 });
  expect(readHeader(jpegFile([255]))).toEqual({ format: "jpeg", width: 8, height: 8 });
  const lossy = webpFile("VP8 ", 0, 0, 0, 0x9d, 0x01, 0x2a, 0x20, 0x41, 0x10, 0xc0);
  expect(readHeader(lossy)).toEqual({ format: "webp", width: 0x120, height: 0x10 });
  // 14 bits of width - 1, 14 of height - 1: 300 x 200.
  const bits = (299 | (199 << 14)) >>> 0;
  const lossless = webpFile("VP8L", 0x2f, bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24);
  expect(readHeader(lossless)).toEqual({ format: "webp", width: 300, height: 200 });
  const extended = webpFile("VP8X", 0, 0, 0, 0, 0x0f, 0x27, 0x00, 0xff, 0xff, 0xff);
  expect(readHeader(extended)).toEqual({ format: "webp", width: 10_000, height: 2 ** 24 });
});

test("a jpeg's frame header is found behind other segments and fill bytes, and the view's offset counts", () => {
  const inner = jpegFile([0]);
  const app = [0xff, 0xe1, 0x00, 0x06, 0xff, 0xc0, 0xff, 0xd8];
  const file = Uint8Array.from([9, 9, 9, ...inner.slice(0, 2), ...app, 0xff, 0xff, ...inner.slice(2)]);
  // A fill byte belongs before a marker: the third 0xff above is one.
  expect(readHeader(file.subarray(3))).toEqual({ format: "jpeg", width: 8, height: 8 });
});

test("a Huffman table before the frame header is not taken for one", () => {
  const table = [0xff, 0xc4, 0x00, 0x0b, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
  const inner = jpegFile([0]);
  expect(readHeader(Uint8Array.from([...inner.slice(0, 2), ...table, ...inner.slice(2)])).width).toBe(8);
});

test.each([
  ["nothing", []],
  ["text", text("hello, this is no picture at all")],
  ["gif", text("GIF89a..............................")],
])("refuses %s as an unknown format", (_, bytes) => {
  expect(() => readHeader(Uint8Array.from(bytes))).toThrow(
    expect.objectContaining({ code: "image_format_unsupported", status: 415 }),
  );
});

const png = pngFile({ width: 1, height: 1, depth: 8, colour: 0, rows: [0, 0] });
test.each([
  ["a png without IHDR", Uint8Array.from([...png.slice(0, 12), ...text("IDAT"), ...png.slice(16)])],
  ["a png cut in its header", png.slice(0, 24)],
  ["a png of width 0", pngFile({ width: 0, height: 5, depth: 8, colour: 0, rows: [0] })],
  ["a jpeg without a frame", Uint8Array.of(0xff, 0xd8, 0xff, 0xd9, 0, 0, 0)],
  ["a jpeg cut in its frame", jpegFile([0]).slice(0, 75)],
  ["a jpeg with a segment of length 0", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 0xff, 0xc0)],
  ["a jpeg with junk between segments", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 2, 0x12, 0x34, 0x56, 0x78)],
  ["a webp cut in its header", webpFile("VP8X").slice(0, 28)],
  ["a webp of an unknown chunk", webpFile("ABCD")],
])("refuses %s as unreadable", (_, bytes) => {
  expect(() => readHeader(bytes)).toThrow(expect.objectContaining({ code: "image_unreadable" }));
});

test("the bound is on pixels, inclusive", () => {
  const file = pngFile({ width: 100, height: 20, depth: 8, colour: 0, rows: [0] });
  expect(readBoundedHeader(file, 2000).width).toBe(100);
  expect(() => readBoundedHeader(file, 1999)).toThrow(
    expect.objectContaining({ code: "image_too_large", status: 413 }),
  );
});
