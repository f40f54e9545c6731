/**
 * The thread of codec_thread.ts.
 *
 * @module
 */
import { serveThread } from "../engine/thread_serve.ts";
import { decodePicture, encodePicture } from "./codec.ts";

const calls = { encode: encodePicture, decode: decodePicture };
export type CodecCalls = typeof calls;

serveThread(calls);
