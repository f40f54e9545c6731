/**
 * WebP to pixels: libwebp as WebAssembly, since imagescript writes the format and does not read it.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import decode, { init } from "@jsquash/webp/decode.js";
import type { RgbaDecoder } from "./imagescript.ts";

let compiled: Promise<WebAssembly.Module> | undefined;

/** A fresh instance for each picture: a trap on a broken file leaves the instance it hit in an unknown state. */
export async function webpDecoder(): Promise<(bytes: Uint8Array) => Promise<ReturnType<RgbaDecoder["decode"]>>> {
  compiled ??= readFile(createRequire(import.meta.url).resolve("@jsquash/webp/codec/dec/webp_dec.wasm")).then((bytes) =>
    WebAssembly.compile(new Uint8Array(bytes))
  );
  const module = await compiled;
  return async (bytes) => {
    // Its instance is the library's own variable: the call below takes it before anybody else can run.
    init(module);
    const { width, height, data } = await decode(new Uint8Array(bytes).buffer);
    return { width, height, framebuffer: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  };
}
