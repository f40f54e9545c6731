/** Pictures that are not what they say. Some are only odd, and must be taken. */
import { deflateSync } from "node:zlib";
import { encodePicture } from "../../../core/image/codec.ts";
import { jpegFile, pngFile } from "../../core/image/samples.ts";
import { picture } from "../../core/tasks/seeing_model.ts";
import { type HostileCase, post, postJson, type Target } from "./case.ts";

const [PNG, JPEG, WEBP] = await Promise.all(
  (["png", "jpeg", "webp"] as const).map((format) => encodePicture(picture(40, 30), format)),
);
if (PNG === undefined || JPEG === undefined || WEBP === undefined) throw new Error("three formats were encoded");

const bytes = (text: string) => new TextEncoder().encode(text);
const half = (file: Uint8Array) => file.slice(0, Math.floor(file.length / 2));
const patched = (file: Uint8Array, at: number, ...values: number[]) => {
  const copy = file.slice();
  copy.set(values, at);
  return copy;
};

/** A JPEG that says it is 65500 x 65500. */
const hugeJpeg = () => {
  const file = jpegFile([0]);
  const at = file.findIndex((value, i) => value === 0xff && file[i + 1] === 0xc0);
  return patched(file, at + 5, 0xff, 0xdc, 0xff, 0xdc);
};
const zeroJpeg = () => {
  const file = jpegFile([0]);
  const at = file.findIndex((value, i) => value === 0xff && file[i + 1] === 0xc0);
  return patched(file, at + 5, 0, 0, 0, 0);
};
/** An extended WebP's header with its canvas's sides, less one, in three bytes each. */
const webp = (side: number, flags = 0) => {
  const low = [side & 255, (side >> 8) & 255, (side >> 16) & 255];
  return Uint8Array.from([
    ...bytes("RIFF"),
    ...[22, 0, 0, 0],
    ...bytes("WEBPVP8X"),
    ...[10, 0, 0, 0, flags, 0, 0, 0, ...low, ...low],
  ]);
};
/** Its header says one pixel, its data unpack to 50 MB. */
const unpackingPng = () => {
  const small = pngFile({ width: 1, height: 1, depth: 8, colour: 2, rows: [0, 1, 2, 3] });
  const bomb = deflateSync(new Uint8Array(50_000_000));
  const at = small.findIndex((_, i) => String.fromCharCode(...small.slice(i, i + 4)) === "IDAT") - 4;
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, bomb.length);
  head.set(bytes("IDAT"), 4);
  return new Uint8Array([...small.slice(0, at), ...head, ...bomb, 0, 0, 0, 0]);
};

function edit(file: Uint8Array, mask?: Uint8Array) {
  return (target: Target) => {
    const form = new FormData();
    form.append("image", new File([new Uint8Array(file)], "../../etc/passwd"));
    if (mask !== undefined) form.append("mask", new File([new Uint8Array(mask)], "mask.png"));
    form.append("prompt", "make it blue");
    form.append("steps", "2");
    return post(target, "/v1/images/edits", form);
  };
}

function chat(file: Uint8Array) {
  return (target: Target) => {
    const url = `data:image/png;base64,${file.toBase64()}`;
    const content = [{ type: "text", text: "what is it" }, { type: "image_url", image_url: { url } }];
    return postJson(target, "/v1/chat/completions", { messages: [{ role: "user", content }], max_tokens: 4 });
  };
}

const clear = (width: number, height: number, alpha: number) => {
  const row = [0, ...Array.from({ length: width }, () => [0, 0, 0, alpha]).flat()];
  return pngFile({ width, height, depth: 8, colour: 6, rows: Array.from({ length: height }, () => row).flat() });
};

const size = { width: 2, height: 1 };
const deep = pngFile({ ...size, depth: 16, colour: 2, rows: [0, 255, 255, 0, 0, 128, 0, 0, 0, 64, 1, 255, 255] });

export const PICTURES: readonly HostileCase[] = [
  { name: "half a PNG", send: edit(half(PNG)), status: 400, code: "image_unreadable" },
  { name: "half a JPEG", send: edit(half(JPEG)), status: 400, code: "image_unreadable" },
  { name: "half a WebP", send: edit(half(WEBP)), status: 400, code: "image_unreadable" },
  { name: "a PNG's signature alone", send: edit(PNG.slice(0, 8)), status: 400, code: "image_unreadable" },
  {
    name: "a PNG of 30000 x 30000",
    send: edit(pngFile({ width: 30_000, height: 30_000, depth: 8, colour: 2, rows: [0] })),
    status: 413,
    code: "image_too_large",
  },
  {
    name: "a PNG of 2147483647 x 2147483647",
    send: edit(pngFile({ width: 2 ** 31 - 1, height: 2 ** 31 - 1, depth: 8, colour: 2, rows: [0] })),
    status: 413,
    code: "image_too_large",
  },
  { name: "a JPEG of 65500 x 65500", send: edit(hugeJpeg()), status: 413, code: "image_too_large" },
  { name: "a WebP of 16777216 x 16777216", send: edit(webp(0xffffff)), status: 413, code: "image_too_large" },
  {
    name: "a PNG of one pixel that unpacks to 50 MB",
    send: edit(unpackingPng()),
    status: 400,
    code: "image_unreadable",
  },
  {
    name: "a PNG of no pixels",
    send: edit(pngFile({ width: 0, height: 0, depth: 8, colour: 2, rows: [] })),
    status: 400,
    code: "image_unreadable",
  },
  { name: "a JPEG of no pixels", send: edit(zeroJpeg()), status: 400, code: "image_unreadable" },
  { name: "an animated WebP", send: edit(webp(9, 2)), status: 400, code: "image_unreadable" },
  { name: "nothing", send: edit(new Uint8Array()), status: 415, code: "image_format_unsupported" },
  { name: "a GIF", send: edit(bytes("GIF89a\x01\x00\x01\x00")), status: 415, code: "image_format_unsupported" },
  {
    name: "an SVG with a script",
    send: edit(bytes('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')),
    status: 415,
    code: "image_format_unsupported",
  },
  {
    name: "a JPEG with a PNG's signature",
    send: edit(new Uint8Array([...PNG.slice(0, 8), ...JPEG])),
    status: 400,
    code: "image_unreadable",
  },
  { name: "a bomb in a chat", send: chat(webp(0xffffff)), status: 413, code: "image_too_large" },
  { name: "half a PNG in a chat", send: chat(half(PNG)), status: 400, code: "image_unreadable" },
  { name: "a CMYK JPEG, which is taken", send: edit(jpegFile([255, 0, 0, 255])), status: 200, code: null },
  { name: "a PNG of 16 bits, which is taken", send: edit(deep), status: 200, code: null },
  {
    name: "a PNG with a script behind its end, which is taken for its pixels",
    send: edit(new Uint8Array([...PNG, ...bytes("<script>alert(1)</script>")])),
    status: 200,
    code: null,
  },
  { name: "a mask of another size", send: edit(PNG, clear(10, 10, 0)), status: 400, code: "mask_size_mismatch" },
  { name: "a mask that leaves nothing", send: edit(PNG, clear(40, 30, 255)), status: 400, code: "region_empty" },
  { name: "a mask without transparency", send: edit(PNG, JPEG), status: 415, code: "mask_format_unsupported" },
  {
    name: "17 pictures",
    send: (target) => {
      const url = `data:image/png;base64,${PNG.toBase64()}`;
      const content = Array.from({ length: 17 }, () => ({ type: "image_url", image_url: { url } }));
      return postJson(target, "/v1/chat/completions", { messages: [{ role: "user", content }] });
    },
    status: 400,
    code: "too_many_images",
  },
  {
    name: "a reference to another run's file as a picture",
    send: (target) => {
      const picture = { file: "result", media_type: "image/png", bytes: 9, width: 9, height: 9 };
      const input = { instruction: "blue", picture };
      return postJson(target, "/v1/runs", { task: "edit", input }, { prefer: "respond-async" });
    },
    status: 400,
    code: "image_invalid",
  },
];
