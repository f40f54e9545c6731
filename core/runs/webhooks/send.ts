/**
 * One attempt: sign, post, and say how it went. Redirects are not followed, nothing of the answer is kept but its
 * status, and a slow receiver is left after a time (field-notes A11).
 *
 * @module
 */

import { Webhook } from "standardwebhooks";
import { type CallOptions, guardedCall } from "../../net/call.ts";
import { Refused } from "../../net/guard.ts";
import type { Attempt } from "./message.ts";
import { retryAfter } from "./schedule.ts";

export interface Sendable {
  readonly id: string;
  readonly body: string;
  readonly url: string;
  readonly secrets: readonly string[];
}

/** What follows from an attempt. */
export interface Outcome {
  readonly attempt: Attempt;
  readonly verdict: "delivered" | "retry" | "gone";
  /** The receiver is overloaded: other messages wait too. */
  readonly throttle: boolean;
  readonly retryAfter_ms: number | null;
}

/** Standard Webhooks: 15 to 30 s. */
export const TIMEOUT_MS = 15_000;

/** How an address is called: status and the header `Retry-After`. */
export type Call = (
  url: string,
  init: { readonly headers: Readonly<Record<string, string>>; readonly body: string; readonly timeout: number },
) => Promise<{ readonly status: number; readonly retryAfter: string | null }>;

/** An endpoint of the server's own: its owner's word. */
export const callTrusted: Call = async (url, { timeout, ...init }) => {
  const signal = AbortSignal.timeout(timeout);
  const response = await fetch(url, { method: "POST", ...init, redirect: "manual", signal });
  await response.body?.cancel();
  return { status: response.status, retryAfter: response.headers.get("retry-after") };
};

/** An address that a run named: looked at, and the connection goes where the look went. */
export const callGuarded: Call = async (url, init) => {
  const options: CallOptions = { method: "POST", ...init, maximumBytes: 1_000_000 };
  const { status, headers } = await guardedCall(url, options);
  return { status, retryAfter: headers["retry-after"] ?? null };
};

/** Never throws. @param now Unix ms */
export async function send(
  message: Sendable,
  now: () => number,
  timeout_ms = TIMEOUT_MS,
  call: Call = callTrusted,
): Promise<Outcome> {
  const at = now();
  const began = performance.now();
  const done = (status: number | null, error: string | null): Attempt => ({
    at,
    duration_ms: Math.round(performance.now() - began),
    status,
    error,
  });
  try {
    const { status, retryAfter: wait } = await call(message.url, {
      headers: headersOf(message, at),
      body: message.body,
      timeout: timeout_ms,
    });
    const ok = status >= 200 && status < 300;
    const attempt = done(status, ok ? null : `answered ${status}`);
    if (ok) return { attempt, verdict: "delivered", throttle: false, retryAfter_ms: null };
    return {
      attempt,
      verdict: status === 410 ? "gone" : "retry",
      throttle: [429, 502, 503, 504].includes(status),
      retryAfter_ms: retryAfter(wait, at),
    };
  } catch (error) {
    const slow = error instanceof DOMException && error.name === "TimeoutError";
    if (error instanceof Refused) {
      return { attempt: done(null, error.message), verdict: "retry", throttle: false, retryAfter_ms: null };
    }
    const attempt = done(null, slow ? `no answer within ${timeout_ms} ms` : "no connection");
    return { attempt, verdict: "retry", throttle: false, retryAfter_ms: null };
  }
}

/** The headers of one attempt: its own time, and a signature with every secret. */
export function headersOf(message: Sendable, at: number): Record<string, string> {
  const time = new Date(at);
  const signatures = message.secrets.map((secret) => new Webhook(secret).sign(message.id, time, message.body));
  return {
    "content-type": "application/json",
    "user-agent": "unmask-webhooks/1",
    "webhook-id": message.id,
    "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": signatures.join(" "),
  };
}
