/**
 * Brings the faults about, and measures how long abandoned runs waited. Faults of processes and of the store come one at a
 * time, so that there is always an idle worker; lost answers and receivers' moods come beside them.
 *
 * @module
 */
import { keys } from "../../core/runs/keys.ts";
import type { Lease } from "../../core/runs/record.ts";
import { listAll, type Store } from "../../core/runs/store/types.ts";
import type { DenokvServer } from "../lib/denokv.ts";
import type { Violations } from "./oracle.ts";
import type { FaultName, ProcessFault, SideFault } from "./plan.ts";
import type { Moment, StoreProxy } from "./proxy.ts";
import type { Random } from "./random.ts";
import type { Receiver } from "./receivers.ts";
import { lastLines, type WorkerPlace } from "./workers.ts";

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** A process that was lost, and what it held then. */
export interface Loss {
  readonly fault: FaultName;
  /** Unix ms. */
  readonly at: number;
  readonly runs: readonly { readonly owner: string; readonly id: string; readonly token: number }[];
  /** Others had room for its runs. */
  readonly idle: boolean;
}

export interface Stage {
  readonly places: readonly WorkerPlace[];
  readonly front: StoreProxy;
  readonly receivers: readonly Receiver[];
  readonly denokv: DenokvServer;
  /** A handle of its own on the store. */
  readonly store: Store;
  /** Ms. */
  readonly lease: number;
  readonly random: Random;
  readonly violations: Violations;
  readonly tell: (line: string) => void;
}

/** Ms in which killed workers must work again. */
const PATIENCE = 120_000;

const MOMENTS: Partial<Record<ProcessFault, Moment>> = {
  kill_before_snapshot: "before",
  kill_during_snapshot: "during",
  kill_after_snapshot: "after",
};

export class Faults {
  readonly #stage: Stage;
  readonly counts = new Map<FaultName, number>();
  readonly losses: Loss[] = [];
  /** When the store was away, in Unix ms. */
  readonly outages: { readonly from: number; to: number }[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  count(name: FaultName, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  /** One after another, until all have come about. @param stopped nothing is left to disturb */
  async processes(faults: readonly ProcessFault[]): Promise<void> {
    for (const fault of faults) {
      await this.process(fault, true);
      await pause(200 + 600 * this.#stage.random.next());
    }
  }

  /** Brings one about, whatever it takes, and waits until all workers but one are up again. */
  async process(fault: ProcessFault, idle: boolean): Promise<void> {
    const moment = MOMENTS[fault];
    this.#stage.tell(fault);
    if (fault === "store_killed") await this.#store();
    else if (moment !== undefined) await this.#kill(fault, moment, idle);
    else if (fault === "stall_past_lease") await this.#stall(fault);
    else await this.#stop();
    this.count(fault);
    const { places } = this.#stage;
    for (const end = performance.now() + PATIENCE; places.filter(({ works }) => works).length < places.length - 1;) {
      if (performance.now() > end) throw new Error(`after ${fault} the workers did not come back: ${this.#ends()}`);
      await pause(100);
    }
  }

  #ends(): string {
    return this.#stage.places.flatMap(({ unasked }) => unasked.map(({ name, said }) => `${name}: ${lastLines(said)}`))
      .join("; ");
  }

  async #store(): Promise<void> {
    const { denokv, random } = this.#stage;
    const outage = { from: Date.now(), to: Infinity };
    this.outages.push(outage);
    await denokv.down();
    await pause(300 + 1200 * random.next());
    await denokv.up();
    outage.to = Date.now();
    await pause(1500);
  }

  async #kill(fault: ProcessFault, moment: Moment, idle: boolean): Promise<void> {
    for (;;) {
      const place = await this.#working();
      let at = 0;
      const trap = place.proxy.set(moment, true, () => {
        at = Date.now();
        return place.signal("SIGKILL");
      });
      const timer = setTimeout(trap.take, 4000);
      const sprung = await trap.sprung;
      clearTimeout(timer);
      if (!sprung) continue; // it had nothing left to save: another's turn
      const { id } = place;
      await place.gone();
      await this.#lost(fault, id, at, idle);
      await place.start();
      await this.#takenOver();
      return;
    }
  }

  async #stall(fault: ProcessFault): Promise<void> {
    const { lease } = this.#stage;
    for (;;) {
      const place = await this.#working();
      if (!place.signal("SIGSTOP")) continue;
      const at = Date.now();
      const held = await this.#lost(fault, place.id, at, true);
      if (held > 0) {
        await this.#takenOver();
        await pause(Math.max(0, at + lease + 1000 - Date.now()));
      }
      place.signal("SIGCONT");
      if (held > 0) return;
      this.losses.pop();
    }
  }

  async #stop(): Promise<void> {
    const { violations } = this.#stage;
    for (;;) {
      const place = await this.#working();
      const { id } = place;
      if (!place.signal("SIGTERM")) continue;
      const gone = place.gone();
      const code = await Promise.race([gone, pause(30_000).then(() => null)]);
      if (code !== 0) violations.add("stop_failed", `${id} ended with ${code}`);
      if (code === null && place.signal("SIGKILL")) await gone;
      if ((await this.#held(id)).length > 0) violations.add("stop_failed", `${id} kept leases`);
      await place.start();
      return;
    }
  }

  /** A place whose process holds a run right now. */
  async #working(): Promise<WorkerPlace> {
    const { places, random } = this.#stage;
    for (;;) {
      for (const place of random.shuffled(places)) {
        if (place.works && (await this.#held(place.id)).length > 0) return place;
      }
      await pause(50);
    }
  }

  async #held(worker: string): Promise<Loss["runs"]> {
    const held: { owner: string; id: string; token: number }[] = [];
    try {
      for await (const { key, value } of listAll<Lease>(this.#stage.store, { prefix: keys.allLeases })) {
        if (value.worker === worker) held.push({ owner: value.owner, id: String(key[1]), token: value.token });
      }
    } catch {
      return [];
    }
    return held;
  }

  async #lost(fault: FaultName, worker: string, at: number, idle: boolean): Promise<number> {
    const runs = await this.#held(worker);
    this.losses.push({ fault, at, runs, idle });
    return runs.length;
  }

  /** Until the leases of the last loss are gone or another's. */
  async #takenOver(): Promise<void> {
    const { store, lease } = this.#stage;
    const left = new Map((this.losses.at(-1)?.runs ?? []).map((run) => [run.id, run.token]));
    for (const end = performance.now() + lease + 15_000; performance.now() < end && left.size > 0;) {
      for (const [id, token] of left) {
        const entry = await store.get<Lease>(keys.lease(id)).catch(() => undefined);
        if (entry === null || (entry !== undefined && entry.value.token > token)) left.delete(id);
      }
      await pause(50);
    }
  }

  /** Lost answers and moods, spread over the time that the rest takes. @param done nothing is left to disturb */
  async beside(faults: readonly SideFault[], done: () => boolean): Promise<void> {
    const { places, front, receivers, random } = this.#stage;
    for (const fault of faults) {
      if (done()) return;
      if (fault === "answer_lost") {
        const proxy = random.next() < 0.25 ? front : random.of(places).proxy;
        const trap = proxy.set("answer lost", false);
        const timer = setTimeout(trap.take, 3000);
        if (await trap.sprung) this.count(fault);
        clearTimeout(timer);
      } else {
        const receiver = random.of(receivers);
        const mood = fault === "receiver_down" ? "down" : fault === "receiver_slow" ? "slow" : "500";
        const before = receiver.deliveries.length;
        await receiver.feel(mood);
        for (
          let waited = 0;
          waited < 2500 || (mood !== "down" && receiver.deliveries.length === before && waited < 8000);
        ) {
          await pause(100);
          waited += 100;
        }
        await receiver.feel("well");
        this.count(fault);
      }
      await pause(100 + 400 * random.next());
    }
  }
}
