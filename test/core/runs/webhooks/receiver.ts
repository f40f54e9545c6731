/** A real HTTP receiver on a real port, and runs with events for it. */

import { Webhook } from "standardwebhooks";
import { newSecret, type WebhookConfig } from "../../../../core/runs/webhooks/endpoint.ts";
import { makeOutbox } from "../../../../core/runs/webhooks/outbox.ts";
import type { RunRecord } from "../../../../core/runs/record.ts";
import type { Store } from "../../../../core/runs/store/types.ts";

export interface Received {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: string;
}

/** What to answer to the nth request, from 0. */
export type Answer = (n: number) => Response | Promise<Response>;

export const ok = () => new Response(null, { status: 204 });
export const status = (code: number, headers: Record<string, string> = {}) =>
  new Response("", { status: code, headers });

export class Receiver {
  readonly received: Received[] = [];
  answer: Answer;
  readonly port: number;
  #server: Deno.HttpServer<Deno.NetAddr> | null = null;

  constructor(answer: Answer = ok) {
    this.answer = answer;
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = (listener.addr as Deno.NetAddr).port;
    listener.close();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  up(): this {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: this.port, onListen: () => {} }, async (request) => {
      const header = (name: string) => request.headers.get(`webhook-${name}`) ?? "";
      const n = this.received.length;
      this.received.push({
        id: header("id"),
        timestamp: header("timestamp"),
        signature: header("signature"),
        body: await request.text(),
      });
      return await this.answer(n);
    });
    return this;
  }

  async down(): Promise<void> {
    await this.#server?.shutdown();
    this.#server = null;
  }
}

/** Throws where the signature is not one of this secret. */
export function verify(received: Received, secret: string): unknown {
  return new Webhook(secret).verify(received.body, {
    "webhook-id": received.id,
    "webhook-timestamp": received.timestamp,
    "webhook-signature": received.signature,
  });
}

export const SECRET = newSecret();

export function config(receivers: Readonly<Record<string, Receiver>>, secrets = [SECRET]): WebhookConfig {
  return {
    endpoints: Object.entries(receivers).map(([name, { url }]) => ({ name, url, secrets, events: ["run.*"] })),
    secrets: [SECRET],
    base_url: null,
  };
}

export function record(id: string, changes: Partial<RunRecord> = {}): RunRecord {
  return {
    id,
    owner: "alice",
    task: "draw",
    input: { prompt: "a photo of a cup" },
    state: "succeeded",
    priority: 5,
    created_at: 1,
    started_at: 2,
    finished_at: 3,
    deadline: null,
    work_ms: null,
    budget_ms: null,
    expires_at: null,
    token: 1,
    attempts: 0,
    claims: 1,
    sequence: 9,
    step: 8,
    steps: 8,
    merges: [],
    fingerprints: [],
    exact: true,
    require_exact: false,
    origin: null,
    place: null,
    encoding: { format: "png" },
    output: null,
    error: null,
    webhooks: [],
    write_id: "w",
    ...changes,
  };
}

/** Puts one event of a run into the outbox, as the commit of a run does. */
export async function emit(
  store: Store,
  config: WebhookConfig,
  run: RunRecord,
  type = "run.succeeded",
  time = Date.now(),
): Promise<void> {
  const sets = makeOutbox(config)(run, [{ type, data: {}, sequence: run.sequence, time }]);
  await store.commit({ sets });
}
