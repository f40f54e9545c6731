/**
 * Which leases stand still: judged by versions alone and this process's own monotonic clock, so that no two machines'
 * clocks are ever compared.
 *
 * @module
 */
import type { Lease } from "./record.ts";
import type { Entry } from "./store/types.ts";

export class LeaseWatch {
  readonly #length: number;
  readonly #monotonic: () => number;
  #seen = new Map<string, { readonly version: string; readonly since: number }>();

  /** @param length ms that a lease may stand still */
  constructor(length: number, monotonic: () => number = () => performance.now()) {
    this.#length = length;
    this.#monotonic = monotonic;
  }

  /** Of all leases there are now, those that were seen unchanged for the whole length. */
  still(entries: readonly Entry<Lease>[]): Entry<Lease>[] {
    const now = this.#monotonic();
    const seen = new Map<string, { readonly version: string; readonly since: number }>();
    const still: Entry<Lease>[] = [];
    for (const entry of entries) {
      const id = String(entry.key[1]);
      const before = this.#seen.get(id);
      const since = before?.version === entry.version ? before.since : now;
      seen.set(id, { version: entry.version, since });
      if (now - since >= this.#length) still.push(entry);
    }
    this.#seen = seen;
    return still;
  }

  /** After a look that failed: time in which nobody could renew anything does not count. */
  forget(): void {
    this.#seen.clear();
  }
}
