/**
 * Callers: they ask again until they have an answer, follow and leave streams, leave while they wait, cancel at the last
 * moment, pause and resume. What each was promised is kept for the oracle.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Estimate } from "../../core/runs/estimate.ts";
import type { RunEvent } from "../../core/runs/record.ts";
import type { PlannedRun } from "./plan.ts";

/** What a caller knows of its run. */
export interface Promised {
  readonly plan: PlannedRun;
  readonly owner: string;
  readonly id: string;
  /** Events that its streams brought, by number, as text. */
  readonly streamed: Map<number, string>;
  /** Events that came twice, or not right after the one before. */
  readonly broken: string[];
  /** Whether a caller's own fault came about. */
  met: boolean;
}

export class Client {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Posts until the server has answered; an Idempotency-Key makes it one run. */
  async accept(plan: PlannedRun, path: string, body: unknown, key: string = crypto.randomUUID()): Promise<Promised> {
    const answer = await this.#insist(plan.owner, path, body, { prefer: "respond-async", "idempotency-key": key });
    const { id } = answer as { readonly id: string };
    return { plan, owner: plan.owner, id, streamed: new Map(), broken: [], met: false };
  }

  async estimate({ owner, task, input }: PlannedRun): Promise<Estimate> {
    return await this.#insist(owner, "/v1/runs/estimate", { task, input }) as Estimate;
  }

  async control(run: Promised, action: "cancel" | "pause" | "resume"): Promise<void> {
    await this.#insist(run.owner, `/v1/runs/${run.id}/${action}`);
  }

  /** Asks for a run as a waiting caller does, leaves after `wait` ms, and looks later what became of it. */
  async waitAndLeave(plan: PlannedRun, body: unknown, wait: number, keep: boolean): Promise<Promised> {
    const key = crypto.randomUUID();
    const leaving = new AbortController();
    const timer = setTimeout(() => leaving.abort(), wait);
    try {
      const response = await fetch(`${this.#url}/v1/runs`, {
        method: "POST",
        headers: {
          ...headersOf(plan.owner),
          "idempotency-key": key,
          prefer: keep ? "wait=60, keep-running" : "wait=60",
        },
        body: JSON.stringify(body),
        signal: leaving.signal,
      });
      await response.body?.cancel();
    } catch {
      // It left, or the store was away; either way nobody reads the answer.
    } finally {
      clearTimeout(timer);
    }
    const promised = await this.accept(plan, "/v1/runs", body, key);
    promised.met = leaving.signal.aborted;
    return promised;
  }

  /**
   * Reads a run's events until it ends or `leave` says so, then comes back behind the last one, and so on.
   *
   * @param leave after each event; true: this stream is left
   */
  async follow(run: Promised, leave: (event: RunEvent) => boolean | Promise<boolean>): Promise<void> {
    let last = 0;
    for (let attempt = 0; attempt < 400; attempt++) {
      const gone = new AbortController();
      try {
        const response = await fetch(`${this.#url}/v1/runs/${run.id}/events`, {
          headers: { ...headersOf(run.owner), "last-event-id": String(last) },
          signal: gone.signal,
        });
        if (!response.ok || response.body === null) throw new Error(String(response.status));
        for await (const event of events(response.body)) {
          if (event.sequence !== last + 1) run.broken.push(`${event.sequence} after ${last}`);
          last = event.sequence;
          run.streamed.set(event.sequence, event.data);
          if (/^run\.(succeeded|failed|cancelled|expired)$/.test(event.type)) return;
          if (await leave(JSON.parse(event.data) as RunEvent)) break;
        }
      } catch {
        // The store was away; the stream is opened again.
      } finally {
        gone.abort();
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }

  async #insist(owner: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<unknown> {
    let last = "";
    for (let attempt = 0; attempt < 200; attempt++) {
      try {
        const response = await fetch(`${this.#url}${path}`, {
          method: "POST",
          headers: { ...headersOf(owner), ...more },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        const answer: unknown = await response.json();
        if (response.ok) return answer;
        last = JSON.stringify(answer);
        // Over already, or not yet there: the caller's business, no fault.
        if (response.status < 500 && response.status !== 429) throw new Refused(last);
      } catch (error) {
        if (error instanceof Refused) throw error;
        last = String(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`${path} was never answered: ${last}`);
  }
}

/** An answer of 4xx. */
export class Refused extends Error {}

/** Whose runs an open server says these are (functions/middleware/access.ts). */
export function ownerOfKey(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 32);
}

function headersOf(owner: string): Record<string, string> {
  return { authorization: `Bearer ${owner}`, "content-type": "application/json" };
}

async function* events(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<{ readonly sequence: number; readonly type: string; readonly data: string }> {
  let text = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const id = field("id");
      if (id !== undefined) yield { sequence: Number(id), type: field("event") ?? "", data: field("data") ?? "" };
    }
  }
}
