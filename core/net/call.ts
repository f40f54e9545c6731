/**
 * HTTP to an address that guard.ts has looked at: the connection goes there and nowhere else, redirects are looked at
 * like first addresses, and neither time nor size are the other side's choice.
 *
 * @module
 */
import http from "node:http";
import https from "node:https";
import { isIPv6, type LookupFunction } from "node:net";
import { type GuardOptions, Refused, type Route, routeTo } from "./guard.ts";

export interface CallOptions extends GuardOptions {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ms for all of it, redirects included. */
  readonly timeout: number;
  /** Bytes of the answer's body that are read; more is an error. */
  readonly maximumBytes: number;
  /** Redirects that are followed. @default {0} */
  readonly redirects?: number;
}

export interface Called {
  readonly status: number;
  /** Lower-case names; the first of several values. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The answer has more bytes than were allowed. */
export class TooLarge extends Error {}

/** @throws {Refused}, {@link TooLarge}, a `TimeoutError`, and what the network throws */
export async function guardedCall(target: string, options: CallOptions): Promise<Called> {
  const signal = AbortSignal.timeout(options.timeout);
  let next = target;
  for (let left = options.redirects ?? 0;; left--) {
    const route = await routeTo(next, options);
    signal.throwIfAborted();
    const answer = await once(route, options, signal);
    const location = answer.headers["location"];
    if (answer.status < 300 || answer.status > 399 || location === undefined || options.redirects === undefined) {
      return answer;
    }
    if (left === 0) throw new Refused("it redirects too often");
    next = new URL(location, route.url).href;
  }
}

function once({ url, address }: Route, options: CallOptions, signal: AbortSignal): Promise<Called> {
  const { method = "GET", headers = {}, body, maximumBytes } = options;
  const family = isIPv6(address) ? 6 : 4;
  const lookup: LookupFunction = (_, { all }, done) =>
    all === true ? done(null, [{ address, family }]) : done(null, address, family);
  return new Promise((resolve, reject) => {
    // Node's client, since fetch looks the name up again; the certificate is checked against the name all the same.
    const request = (url.protocol === "https:" ? https : http).request(url, {
      method,
      // No compression: what it unpacks to would not be bounded.
      headers: { "accept-encoding": "identity", ...headers },
      lookup,
      agent: false,
      signal,
    }, (response) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      const tooLarge = () => {
        reject(new TooLarge(`more than ${maximumBytes} bytes`));
        request.destroy();
      };
      if (Number(response.headers["content-length"] ?? 0) > maximumBytes) return tooLarge();
      response.on("data", (chunk: Uint8Array) => {
        length += chunk.byteLength;
        if (length > maximumBytes) return tooLarge();
        chunks.push(new Uint8Array(chunk));
      });
      response.on("error", reject);
      response.on("end", () => {
        const first = Object.entries(response.headers).map(([name, value]) => [name, String([value].flat()[0] ?? "")]);
        const joined = new Uint8Array(length);
        let offset = 0;
        for (const chunk of chunks) {
          joined.set(chunk, offset);
          offset += chunk.byteLength;
        }
        resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(first), body: joined });
      });
    });
    request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    request.end(body);
  });
}
