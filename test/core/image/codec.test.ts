import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { decodePicture, encodePicture } from "../../../core/image/codec.ts";
import { readHeader } from "../../../core/image/header.ts";
import type { Picture } from "../../../core/model/types.ts";
import { jpegFile, pngFile } from "./samples.ts";

/** Smooth, not symmetric in any channel or axis. */
const picture: Picture = {
  width: 48,
  height: 32,
  data: Uint8Array.from({ length: 48 * 32 * 3 }, (_, i) => {
    const [x, y, channel] = [Math.floor(i / 3) % 48, Math.floor(i / 144), i % 3];
    return channel === 0 ? 5 * x : channel === 1 ? 7 * y : 2 * x + 3 * y;
  }),
};

const refuses = (code: string) => expect.objectContaining({ code });

test("png: every pixel comes back; the bytes are the same in every process, at any time", async () => {
  const bytes = await encodePicture(picture, "png");
  expect(await decodePicture(bytes)).toEqual(picture);
  expect(readHeader(bytes)).toEqual({ format: "png", width: 48, height: 32 });
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(
    "f28f5014d96207690797fbc6441f3787a198f201e435981c4463e128bb273934",
  );
});

test("jpeg: pixels come back nearly; a higher quality is nearer and larger", async () => {
  const error = async (quality: number) => {
    const bytes = await encodePicture(picture, "jpeg", quality);
    expect(readHeader(bytes)).toEqual({ format: "jpeg", width: 48, height: 32 });
    const { data } = await decodePicture(bytes);
    const sum = data.reduce((total, value, i) => total + Math.abs(value - (picture.data[i] ?? 0)), 0);
    return { mean: sum / data.length, size: bytes.length };
  };
  const [low, high] = [await error(0), await error(95)];
  expect(high.mean).toBeLessThan(2);
  expect(low.mean).toBeGreaterThan(high.mean);
  expect(low.size).toBeLessThan(high.size);
});

test.each(["jpeg", "webp"] as const)("%s: twice the same bytes; quality changes them", async (format) => {
  const bytes = await encodePicture(picture, format, 80);
  expect(await encodePicture(picture, format, 80)).toEqual(bytes);
  expect((await encodePicture(picture, format, 20)).length).toBeLessThan(bytes.length);
  expect(readHeader(bytes)).toEqual({ format, width: 48, height: 32 });
});

test("webp: pixels come back nearly, without loss exactly, transparent ones on white", async () => {
  const { width, height, data } = await decodePicture(await encodePicture(picture, "webp", 95));
  expect([width, height]).toEqual([48, 32]);
  const error = data.reduce((sum, value, i) => sum + Math.abs(value - (picture.data[i] ?? 0)), 0) / data.length;
  expect(error).toBeLessThan(6);
  // A lossless one of a clear, a nearly clear and an opaque pixel.
  const lossless = Uint8Array.fromBase64(
    "UklGRjwAAABXRUJQVlA4TC8AAAAvAgAAEBdAJmDxbuifUiAFbduwuH8cJyRIMgP8310pkE12pvzZCs5z/ocmRPQ/AAA=",
  );
  const pixels = [255, 255, 255, 224, 204, 244, 7, 8, 9];
  expect(await decodePicture(lossless)).toEqual({ width: 3, height: 1, data: Uint8Array.from(pixels) });
});

test("refuses a quality for png and one that is out of range", async () => {
  await expect(encodePicture(picture, "png", 90)).rejects.toThrow(refuses("quality_unsupported"));
  for (const quality of [-1, 101, NaN]) {
    await expect(encodePicture(picture, "jpeg", quality)).rejects.toThrow(refuses("quality_out_of_range"));
  }
});

test("png: 16 bits, palette and grey give RGB; transparent pixels lie on white", async () => {
  const pixels = async (file: Uint8Array) => [...(await decodePicture(file)).data];
  const size = { width: 2, height: 1 };
  const deep = pngFile({ ...size, depth: 16, colour: 2, rows: [0, 255, 255, 0, 0, 128, 0, 0, 0, 64, 1, 255, 255] });
  expect(await pixels(deep)).toEqual([255, 0, 128, 0, 64, 255]);
  const palette = pngFile({ ...size, depth: 8, colour: 3, palette: [1, 2, 3, 40, 50, 60], rows: [0, 1, 0] });
  expect(await pixels(palette)).toEqual([40, 50, 60, 1, 2, 3]);
  expect(await pixels(pngFile({ ...size, depth: 8, colour: 0, rows: [0, 9, 200] }))).toEqual([9, 9, 9, 200, 200, 200]);
  const clear = pngFile({ ...size, depth: 8, colour: 6, rows: [0, 10, 20, 30, 0, 100, 0, 200, 51] });
  expect(await pixels(clear)).toEqual([255, 255, 255, 224, 204, 244]);
});

test("jpeg: RGB, grey and CMYK", async () => {
  const first = async (file: Uint8Array) => [...(await decodePicture(file)).data.slice(0, 3)];
  expect(await first(jpegFile([255]))).toEqual([255, 255, 255]);
  expect(await first(jpegFile([0]))).toEqual([0, 0, 0]);
  // Stored inverted: no cyan, full magenta and yellow, no black: red. Then no ink, then all of it.
  expect(await first(jpegFile([255, 0, 0, 255]))).toEqual([255, 0, 0]);
  expect(await first(jpegFile([255, 255, 255, 255]))).toEqual([255, 255, 255]);
  expect(await first(jpegFile([255, 255, 255, 0]))).toEqual([0, 0, 0]);
});

test("damaged and cut files are refused, not half read", async () => {
  for (const format of ["png", "jpeg", "webp"] as const) {
    const bytes = await encodePicture(picture, format);
    for (const length of [20, 40, Math.floor(bytes.length / 2), bytes.length - 20]) {
      await expect(decodePicture(bytes.slice(0, length)), `${format} cut at ${length}`).rejects.toThrow(
        refuses("image_unreadable"),
      );
    }
  }
  const damaged = await encodePicture(picture, "png");
  damaged.fill(0x55, 60, 90);
  await expect(decodePicture(damaged)).rejects.toThrow(refuses("image_unreadable"));
  // One bad file leaves nothing behind that spoils the next.
  expect(await decodePicture(await encodePicture(picture, "png"))).toEqual(picture);
});

test("a bomb is refused by its header", async () => {
  const bomb = pngFile({ width: 30_000, height: 30_000, depth: 8, colour: 2, rows: [0] });
  await expect(decodePicture(bomb)).rejects.toThrow(refuses("image_too_large"));
  await expect(decodePicture(await encodePicture(picture, "png"), 48 * 32 - 1)).rejects.toThrow(
    refuses("image_too_large"),
  );
});
