/**
 * Sends what the outbox holds. Any number of processes may do so at once: a message is claimed by moving its due time
 * beyond the longest attempt, in a commit that only one wins, and a claim whose process died lapses by itself. So each
 * message arrives at least once. No run waits for any of this.
 *
 * @module
 */

import { isUnreachable, pause } from "../ledger.ts";
import type { Entry, Store, Write } from "../store/types.ts";
import type { WebhookConfig } from "./endpoint.ts";
import {
  type DuePlace,
  endpointId,
  type EndpointState,
  LOG_LENGTH,
  type Message,
  type MessageState,
  webhookKeys,
} from "./message.ts";
import { nextDelay, RETRY_SCHEDULE, type RetrySchedule } from "./schedule.ts";
import { type Call, callGuarded, callTrusted, type Outcome, send, TIMEOUT_MS } from "./send.ts";

export interface DispatcherOptions {
  readonly store: Store;
  readonly config: WebhookConfig;
  readonly schedule?: RetrySchedule;
  /** Milliseconds that a receiver may take. @default {15_000} */
  readonly timeout_ms?: number;
  /** Attempts in flight. @default {8} */
  readonly parallel?: number;
  /** Milliseconds between two looks at the outbox. @default {1000} */
  readonly poll_ms?: number;
  /** Milliseconds that attempts in flight have when the process stops. @default {3000} */
  readonly linger_ms?: number;
  /** How addresses are called that runs named. @default callGuarded: looked at first */
  readonly call?: Call;
  /** Unix ms. */
  readonly now?: () => number;
  /** Told what came of each attempt: delivered, retry or gone. */
  readonly observe?: (outcome: string) => void;
}

const OPEN: EndpointState = { disabled_at: null, throttled_until: 0 };

export class Dispatcher {
  readonly #options: Required<DispatcherOptions>;
  #bell = Promise.withResolvers<void>();
  readonly #flying = new Set<Promise<void>>();

  constructor(options: DispatcherOptions) {
    this.#options = {
      schedule: RETRY_SCHEDULE,
      timeout_ms: TIMEOUT_MS,
      parallel: 8,
      poll_ms: 1000,
      linger_ms: 3000,
      call: callGuarded,
      now: Date.now,
      observe: () => {},
      ...options,
    };
  }

  /** Something is in the outbox: look now. */
  wake(): void {
    this.#bell.resolve();
  }

  /**
   * Sends until `signal` aborts, then waits a little for the attempts in flight; one that takes longer is sent again by
   * whoever comes next. Outlives failures of the store.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#bell = Promise.withResolvers<void>();
      let more = false;
      try {
        more = await this.#look(signal);
      } catch (error) {
        // The outbox stays as it is; a store that is gone for good stops the process elsewhere.
        if (!isUnreachable(error)) console.error("webhooks:", error instanceof Error ? error.message : error);
      }
      if (!more) await Promise.race([this.#bell.promise, pause(this.#options.poll_ms, signal)]);
    }
    await Promise.race([Promise.all(this.#flying), pause(this.#options.linger_ms)]);
  }

  /** Starts what is due, within the bound on parallel attempts. Whether there is more at once. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { store, now, parallel } = this.#options;
    const page = await store.list<DuePlace>({
      prefix: webhookKeys.allDue,
      end: [...webhookKeys.allDue, now() + 1],
      limit: 4 * parallel,
    });
    let started = 0;
    for (const due of page.entries) {
      while (this.#flying.size >= parallel) await Promise.race(this.#flying);
      if (signal.aborted) return false;
      const claimed = await this.#claim(due);
      if (claimed === null) continue;
      started++;
      const flight: Promise<void> = this.#deliver(claimed)
        .catch((error: unknown) => {
          // Not recorded: the claim lapses, and it is sent again.
          if (!isUnreachable(error) && !signal.aborted) {
            console.error("webhooks:", error instanceof Error ? error.message : error);
          }
        })
        .finally(() => this.#flying.delete(flight));
      this.#flying.add(flight);
    }
    return started > 0 && page.cursor !== null;
  }

  /** Null if another process has it, or if it must wait. */
  async #claim(due: Entry<DuePlace>): Promise<Entry<Message> | null> {
    const { store, now, timeout_ms } = this.#options;
    const at = Number(due.key[1]);
    const id = String(due.key[2]);
    const entry = await store.get<Message>(webhookKeys.message(due.value.owner, due.value.run, id));
    if (entry === null || entry.value.due_at !== at || entry.value.state !== "pending") {
      await store.commit({ checks: [due], deletes: [due.key] });
      return null;
    }
    const message = entry.value;
    const state = await this.#endpointState(message);
    if (state.disabled_at !== null) return await this.#settle(entry, "disabled", null, []);
    const busy = state.throttled_until > now();
    const until = busy ? state.throttled_until : now() + 2 * timeout_ms + 1000;
    const claimed: Message = { ...message, due_at: until };
    const result = await store.commit({
      checks: [{ key: entry.key, version: entry.version }],
      sets: [{ key: entry.key, value: claimed }, { key: webhookKeys.due(until, id), value: due.value }],
      deletes: [due.key],
    });
    if (!result.ok || busy) return null;
    return { ...entry, value: claimed, version: result.version };
  }

  async #deliver(entry: Entry<Message>): Promise<void> {
    const { config, schedule, timeout_ms, now, call } = this.#options;
    const message = entry.value;
    const server = config.endpoints.find((endpoint) => endpoint.name === message.endpoint);
    const url = message.endpoint === null ? message.url : server?.url ?? null;
    const secrets = server?.secrets ?? message.secrets ?? config.secrets;
    if (url === null || secrets.length === 0) {
      await this.#settle(entry, "gone", null, []);
      return;
    }
    const sendable = { id: message.id, body: message.body, url, secrets };
    const outcome = await send(sendable, now, timeout_ms, message.endpoint === null ? call : callTrusted);
    this.#options.observe(outcome.verdict);
    if (outcome.verdict === "delivered") {
      await this.#settle(entry, "delivered", outcome, []);
    } else if (outcome.verdict === "gone") {
      await this.#settle(entry, "gone", outcome, [await this.#mark(message, { disabled_at: now() })]);
    } else {
      const delay = nextDelay(schedule, message.failed + 1, outcome.retryAfter_ms);
      const throttled = outcome.throttle && delay !== null
        ? [await this.#mark(message, { throttled_until: now() + delay })]
        : [];
      if (delay === null) await this.#settle(entry, "failed", outcome, throttled);
      else await this.#settle(entry, "pending", outcome, throttled, now() + delay);
    }
  }

  /** Records what came of an attempt; a claim that has lapsed and was taken by another is left to that one. */
  async #settle(
    entry: Entry<Message>,
    state: MessageState,
    outcome: Outcome | null,
    more: readonly Write[],
    due_at: number | null = null,
  ): Promise<null> {
    const message = entry.value;
    const attempts = outcome === null ? message.attempts : [...message.attempts, outcome.attempt].slice(-LOG_LENGTH);
    const failed = message.failed + (outcome !== null && state !== "delivered" ? 1 : 0);
    const after: Message = { ...message, state, due_at, failed, attempts };
    const place: DuePlace = { owner: message.owner, run: message.run };
    await this.#options.store.commit({
      checks: [{ key: entry.key, version: entry.version }],
      sets: [
        { key: entry.key, value: after },
        ...(due_at === null ? [] : [{ key: webhookKeys.due(due_at, message.id), value: place }]),
        ...more,
      ],
      // Not the new one's key, should the two times be the same.
      deletes: message.due_at === null || message.due_at === due_at
        ? []
        : [webhookKeys.due(message.due_at, message.id)],
    });
    return null;
  }

  async #endpointState(message: Message): Promise<EndpointState> {
    const key = webhookKeys.endpoint(await endpointId(message));
    return (await this.#options.store.get<EndpointState>(key))?.value ?? OPEN;
  }

  async #mark(message: Message, change: Partial<EndpointState>): Promise<Write> {
    const state = { ...await this.#endpointState(message), ...change };
    return { key: webhookKeys.endpoint(await endpointId(message)), value: state };
  }
}
