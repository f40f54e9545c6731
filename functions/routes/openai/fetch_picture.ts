/**
 * Pictures from addresses that clients name, where this server was started to fetch them: public hosts only, looked at
 * once and pinned, bounded in size and time (core/net).
 *
 * @module
 */
import { UnmaskError } from "../../../core/errors.ts";
import { type CallOptions, guardedCall, TooLarge } from "../../../core/net/call.ts";
import { type GuardOptions, Refused } from "../../../core/net/guard.ts";
import type { FetchPicture } from "./chat_messages.ts";

const LIMITS: CallOptions = {
  protocols: ["https:", "http:"],
  headers: { accept: "image/png, image/jpeg, image/webp", "user-agent": "unmask" },
  timeout: 10_000,
  maximumBytes: 20_000_000,
  redirects: 3,
};

/** @throws `image_url_refused`, `image_too_large` (413), `image_url_failed` */
export function pictureFetcher(options: GuardOptions & Partial<typeof LIMITS> = {}): FetchPicture {
  const limits = { ...LIMITS, ...options };
  return async (url) => {
    try {
      const { status, body } = await guardedCall(url, limits);
      if (status === 200) return body;
    } catch (thrown) {
      if (thrown instanceof Refused) {
        throw failed("image_url_refused", `the picture's address is not fetched: ${thrown.message}`, 400);
      }
      if (thrown instanceof TooLarge) {
        throw failed("image_too_large", `the picture has more than ${limits.maximumBytes} bytes`, 413);
      }
      // What the network said is nobody's business: it would tell what stands where.
    }
    throw failed("image_url_failed", "the picture could not be fetched", 400);
  };
}

function failed(code: string, message: string, status: number): UnmaskError {
  return new UnmaskError({ code, message, fix: "send the picture as a data URL", param: "messages", status });
}
