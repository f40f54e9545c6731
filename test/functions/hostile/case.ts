/** What a hostile input is, and the place that it is sent to. */
import type { OpenAIDoor } from "../../../functions/routes/openai/door.ts";
import type { Runs } from "../../../core/runs/service.ts";
import type { ApiKeys } from "../../../core/runs/api_keys.ts";
import type { Links } from "../../../core/runs/links.ts";

/** A server with keys, and one that is open to this machine, over one store. */
export interface Target {
  /** Base URLs, no slash at the end. */
  readonly keyed: string;
  readonly open: string;
  /** Of the keyed one: may do what is not an admin's. */
  readonly key: string;
  /** Another owner's, and a finished run of it. */
  readonly otherKey: string;
  readonly otherRun: string;
  /** May only look. */
  readonly readKey: string;
  /** Was removed. */
  readonly removedKey: string;
  readonly owner: string;
  readonly runs: Runs;
  readonly keys: ApiKeys;
  readonly links: Links;
  readonly door: OpenAIDoor;
  /** Signs webhooks for the hook `shop`. */
  readonly hookSecret: string;
  /** An address that this test's fetcher lets through, which misbehaves by path. */
  readonly outside: string;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
}

export interface HostileCase {
  readonly name: string;
  readonly send: (target: Target) => Promise<Response | Reply>;
  readonly status: number;
  /** Of the error; null: it is no error, or the runtime answers before any code of ours. */
  readonly code: string | null;
}

export function post(target: Target, path: string, body: BodyInit, headers: Record<string, string> = {}) {
  return fetch(`${target.keyed}${path}`, {
    method: "POST",
    body,
    headers: { authorization: `Bearer ${target.key}`, ...headers },
  });
}

export function postJson(target: Target, path: string, body: unknown, headers: Record<string, string> = {}) {
  return post(target, path, JSON.stringify(body), { "content-type": "application/json", ...headers });
}

export function get(target: Target, path: string, headers: Record<string, string> = {}) {
  return fetch(`${target.keyed}${path}`, { headers: { authorization: `Bearer ${target.key}`, ...headers } });
}

/** Bytes on the wire as they are, which `fetch` would mend; reads until the server closes or says nothing more. */
export async function raw(base: string, request: string): Promise<Reply> {
  const { hostname, port } = new URL(base);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  try {
    await connection.write(new TextEncoder().encode(request));
    let text = "";
    const decoder = new TextDecoder();
    const end = performance.now() + 90_000;
    const buffer = new Uint8Array(65_536);
    while (performance.now() < end) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), 60_000);
      });
      const length = await Promise.race([connection.read(buffer), late]);
      clearTimeout(timer);
      if (length === null) break;
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
      const [head = "", body = ""] = text.split("\r\n\r\n");
      const expected = /content-length: (\d+)/i.exec(head)?.[1];
      if (expected !== undefined && new TextEncoder().encode(body).length >= Number(expected)) break;
    }
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text };
  } finally {
    connection.close();
  }
}
