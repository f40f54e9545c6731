/**
 * Whose step is next: the owner that has waited longest, and of its runs the one that has waited longest.
 *
 * @module
 */
import type { ActiveRun } from "./active_run.ts";

export class Rotation {
  #turn = 0;
  readonly #owners = new Map<string, number>();
  readonly #runs = new Map<ActiveRun, number>();

  next(ready: readonly ActiveRun[]): ActiveRun | undefined {
    const waited = (run: ActiveRun) => [this.#owners.get(run.record.owner) ?? 0, this.#runs.get(run) ?? 0] as const;
    const [first] = ready.toSorted((a, b) => {
      const [ownerA, runA] = waited(a);
      const [ownerB, runB] = waited(b);
      return ownerA - ownerB || runA - runB;
    });
    if (first === undefined) return undefined;
    this.#turn++;
    this.#owners.set(first.record.owner, this.#turn);
    this.#runs.set(first, this.#turn);
    return first;
  }

  forget(run: ActiveRun): void {
    this.#runs.delete(run);
    const { owner } = run.record;
    if ([...this.#runs.keys()].every((other) => other.record.owner !== owner)) this.#owners.delete(owner);
  }
}
