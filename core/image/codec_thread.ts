/**
 * Reading and writing pictures in a thread of its own: a large picture takes tenths of a second, in which a server should
 * answer others. It also keeps the codec out of the module graph of whoever only hands pictures on.
 *
 * @module
 */
import { openThread, type Thread } from "../engine/thread.ts";
import type { Picture } from "../model/types.ts";
import type { OutputFormat } from "./codec.ts";
import type { CodecCalls } from "./codec_entry.ts";

export interface Codec {
  /** As `encodePicture` of codec.ts. */
  encode(picture: Picture, format: OutputFormat, quality?: number): Promise<Uint8Array>;
  /** As `decodePicture` of codec.ts. */
  decode(bytes: Uint8Array): Promise<Picture>;
  close(): Promise<void>;
}

/** The thread starts with the first picture. */
export function codecThread(): Codec {
  let opening: Promise<Thread<CodecCalls>> | undefined;
  const thread = () =>
    opening ??= openThread<CodecCalls>(new URL("./codec_entry.ts", import.meta.url), {
      name: "codec",
      permissions: { read: "inherit", ffi: "inherit", env: "inherit" },
    });
  return {
    encode: async (picture, format, quality) => await (await thread()).call("encode", picture, format, quality),
    decode: async (bytes) => await (await thread()).call("decode", bytes),
    close: async () => await (await opening)?.close(),
  };
}
