/**
 * What a request may cost before anything looks at it: its size and the time that its body takes, and its media type. How
 * much may wait at once is counted where the work is (core/runs/admission.ts).
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";

export interface Limits {
  /** Bytes of a JSON body. @default {65536} */
  readonly bodyBytes: number;
  /** Milliseconds that a body may take to arrive. @default {10000} */
  readonly bodyMilliseconds: number;
  /** Bytes of a body that brings pictures, all of them together. @default {33554432} */
  readonly mediaBytes: number;
  /** Milliseconds that such a body may take to arrive. @default {60000} */
  readonly mediaMilliseconds: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 65_536,
  bodyMilliseconds: 10_000,
  mediaBytes: 33_554_432,
  mediaMilliseconds: 60_000,
};

/** The limits of a door that takes pictures, as those of its body. */
export function mediaLimits(limits: Limits): Limits {
  return { ...limits, bodyBytes: limits.mediaBytes, bodyMilliseconds: limits.mediaMilliseconds };
}

/**
 * Reads a body while counting: an oversized one is dropped at the cap, whatever its Content-Length said.
 *
 * @throws `body_too_large` (413), `body_timeout` (408)
 */
export async function readBody(request: Request, limits: Limits): Promise<Uint8Array<ArrayBuffer>> {
  // Refused before the first byte is read: an honest client learns it without sending the body.
  if (Number(request.headers.get("content-length") ?? 0) > limits.bodyBytes) throw tooLarge(limits);
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    reader.cancel().catch(() => {});
  }, limits.bodyMilliseconds);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (expired) throw tooSlow(limits);
      if (done) break;
      length += value.byteLength;
      if (length > limits.bodyBytes) {
        await reader.cancel();
        throw tooLarge(limits);
      }
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
  }
  const body = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

/**
 * The body as a JSON value.
 *
 * @throws `unsupported_media_type` (415), `invalid_json`, and what {@link readBody} throws
 */
export async function readJson(request: Request, limits: Limits): Promise<unknown> {
  requireJson(request.headers.get("content-type"));
  const body = await readBody(request, limits);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new UnmaskError({
      code: "invalid_json",
      message: body.byteLength === 0 ? "the body is empty" : "the body is not JSON in UTF-8",
      fix: 'send a JSON object, such as {"prompt": "a photo of a dog"}',
      cause,
    });
  }
}

function requireJson(contentType: string | null): void {
  const [type, ...parameters] = (contentType ?? "").toLowerCase().split(";").map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice(8).replaceAll('"', "");
  if (type === "application/json" && (charset === undefined || charset === "utf-8")) return;
  throw new UnmaskError({
    code: "unsupported_media_type",
    message: contentType === null ? "the request names no content type" : "the content type is not JSON in UTF-8",
    fix: "send the header `content-type: application/json`",
    status: 415,
  });
}

function tooLarge(limits: Limits): UnmaskError {
  return new UnmaskError({
    code: "body_too_large",
    message: `the body is larger than ${limits.bodyBytes} bytes`,
    fix: "send less: a prompt and its options need no more than that",
    status: 413,
  });
}

function tooSlow(limits: Limits): UnmaskError {
  return new UnmaskError({
    code: "body_timeout",
    message: `the body did not arrive within ${limits.bodyMilliseconds} ms`,
    fix: "send the whole body at once",
    status: 408,
  });
}
