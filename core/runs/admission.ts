/**
 * How much may be unfinished at once: in all, since a queue without an end would answer nobody in time, and of one owner,
 * so that none fills it alone.
 *
 * @module
 */
import { UnmaskError } from "../errors.ts";
import { keys } from "./keys.ts";
import type { Lease, Pending } from "./record.ts";
import { listAll, type Store } from "./store/types.ts";

export interface AdmissionOptions {
  /** Runs waiting and running, of all owners. @default {256} */
  readonly queue?: number;
  /** Of one owner. @default {64} */
  readonly perOwner?: number;
  /**
   * Ms for which a count of the store is believed; what this process accepts in between is added. Ten times as long where
   * no more than half of what may be unfinished is.
   *
   * @default {500}
   */
  readonly trust?: number;
  readonly now?: () => number;
}

export class Admission {
  readonly #store: Store;
  readonly #options: Required<AdmissionOptions>;
  #counted: Map<string, number> | undefined;
  /** The count under way. */
  #counting: Promise<Map<string, number>> | undefined;
  /** Owners of what was admitted while it was under way: the store may not have had it yet. */
  #meanwhile: string[] = [];
  /** When the last count began. */
  #since = Number.NEGATIVE_INFINITY;

  constructor(store: Store, options: AdmissionOptions = {}) {
    this.#store = store;
    this.#options = { queue: 256, perOwner: 64, trust: 500, now: () => performance.now(), ...options };
  }

  /**
   * Room for one run more of `owner`. Whom the last count has room for is let in at once, and a new count, where one is
   * due, is made beside; nobody is refused by an old one.
   *
   * @throws {UnmaskError} `queue_full` (503, with Retry-After), `too_many_runs` (429, with Retry-After)
   */
  async admit(owner: string): Promise<void> {
    if (this.#counting === undefined && this.#due(owner)) {
      this.#counting = this.#recount();
      // A store that did not answer is asked again by whoever comes next; this caller sees it at its own write.
      this.#counting.catch(() => {});
    }
    const roomy = this.#counted !== undefined && this.#refusal(this.#counted, owner) === null;
    const counted = roomy ? this.#counted : await this.#counting ?? this.#counted;
    if (counted === undefined) throw new Error("there is neither a count nor one under way");
    const refusal = this.#refusal(counted, owner);
    if (refusal !== null) throw refusal;
    counted.set(owner, (counted.get(owner) ?? 0) + 1);
    if (this.#counting !== undefined) this.#meanwhile.push(owner);
  }

  #due(owner: string): boolean {
    const { queue, perOwner, trust, now } = this.#options;
    const room = this.#counted !== undefined && sum(this.#counted) <= queue / 2 &&
      (this.#counted.get(owner) ?? 0) <= perOwner / 2;
    return now() - this.#since >= (room ? 10 * trust : trust);
  }

  #refusal(counted: ReadonlyMap<string, number>, owner: string): UnmaskError | null {
    const { queue, perOwner } = this.#options;
    const own = counted.get(owner) ?? 0;
    if (own >= perOwner) {
      return new UnmaskError({
        code: "too_many_runs",
        message: `${own} runs of this key are unfinished, and ${perOwner} may be at once`,
        fix: "wait until some have ended, or cancel them",
        status: 429,
        retryAfter: 1,
      });
    }
    const all = sum(counted);
    if (all < queue) return null;
    return new UnmaskError({
      code: "queue_full",
      message: `${all} runs are waiting or at work, as many as this server takes`,
      fix: "try again after the seconds named by the header Retry-After",
      status: 503,
      retryAfter: 2,
    });
  }

  async #recount(): Promise<Map<string, number>> {
    this.#since = this.#options.now();
    this.#meanwhile = [];
    try {
      const counted = await this.#count();
      for (const owner of this.#meanwhile) counted.set(owner, (counted.get(owner) ?? 0) + 1);
      this.#counted = counted;
      return counted;
    } catch (error) {
      this.#since = Number.NEGATIVE_INFINITY;
      throw error;
    } finally {
      this.#counting = undefined;
    }
  }

  /** Unfinished runs by owner; a run has a place in the queue or a lease, but for one that is paused. */
  async #count(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    await Promise.all([keys.allPending, keys.allLeases].map(async (prefix) => {
      for await (const { value } of listAll<Pending | Lease>(this.#store, { prefix, limit: 500 })) {
        counts.set(value.owner, (counts.get(value.owner) ?? 0) + 1);
      }
    }));
    return counts;
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  return counts.values().reduce((sum, count) => sum + count, 0);
}
