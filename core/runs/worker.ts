/**
 * A worker: holds several runs and gives them their steps in turn, across owners and then across runs; renews its
 * leases, takes over those that stand still, and hands its own back when it is told to stop.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { ActiveRun, type Pace } from "./active_run.ts";
import { Bell } from "./bell.ts";
import { keys } from "./keys.ts";
import { isUnreachable, type Ledger, pause } from "./ledger.ts";
import { type Claim, Queue, type QueueOptions } from "./queue.ts";
import type { Control, Lease } from "./record.ts";
import { type Kind, kindOf } from "./state/kind.ts";
import type { EncodeOutput, StepEngine } from "./step_engine.ts";
import { type Entry, listAll } from "./store/types.ts";
import { LeaseWatch } from "./lease_watch.ts";
import { PaceMeter } from "./pace.ts";
import { Rotation } from "./rotation.ts";

export interface WorkerOptions extends QueueOptions {
  readonly ledger: Ledger;
  readonly engine: StepEngine;
  readonly kinds: readonly Kind[];
  readonly encode: EncodeOutput;
  /** Unique among all workers, also of past ones. @default a random one */
  readonly id?: string;
  /** Runs held at once. @default {4} */
  readonly slots?: number;
  /** Ms that a lease may stand still before it is taken. @default {10000} */
  readonly lease?: number;
  /** Ms between two looks at the queue and at the leases. @default {250} */
  readonly poll?: number;
  /** Ms that one call of the engine may take before its heartbeat stops. @default {60000} */
  readonly bound?: number;
  /**
   * Ms between the starts of two snapshots of a run. On two cores, which a step keeps busy, each takes about a
   * millisecond from it; a worker that dies loses at most this much work, and steps that take longer are all kept.
   *
   * @default {250}
   */
  readonly spacing?: number;
  /** Told of what no caller sees. */
  readonly log?: (line: Readonly<Record<string, unknown>>) => void;
}

/** Ms between two writes of the measured speed: it changes slowly, and each is a commit. */
const PACE_INTERVAL = 5000;

export class Worker {
  readonly id: string;
  readonly #options: Required<Omit<WorkerOptions, "maximumAttempts" | "backoff" | "id">>;
  readonly #queue: Queue;
  readonly #active = new Map<string, { readonly run: ActiveRun; readonly watching: AbortController }>();
  readonly #rotation = new Rotation();
  readonly #pace = new PaceMeter();
  readonly #leases: LeaseWatch;
  readonly #stopping = new AbortController();
  /** Work beside the loop: results being saved. */
  readonly #beside = new Set<Promise<void>>();
  /** Something may be in the queue, or a place is free for it. */
  readonly #bell = new Bell();
  /** There is a run to take steps of. */
  readonly #begun = new Bell();
  /** When the engine's call at work began; undefined: it is idle. */
  #busySince: number | undefined;
  #killed = false;
  /** When the measured speed of a task was last written down. */
  readonly #paceSaved = new Map<string, number>();
  #loops: Promise<unknown> | undefined;
  #heart: ReturnType<typeof setInterval> | undefined;

  constructor(options: WorkerOptions) {
    this.#options = { slots: 4, lease: 10_000, poll: 250, bound: 60_000, spacing: 250, log: () => {}, ...options };
    this.id = options.id ?? `worker_${crypto.randomUUID()}`;
    this.#queue = new Queue(options.ledger, this.id, options);
    this.#leases = new LeaseWatch(this.#options.lease);
  }

  /** Runs in hand. */
  get active(): number {
    return this.#active.size;
  }

  /** Runs that it holds at most. */
  get slots(): number {
    return this.#options.slots;
  }

  start(): void {
    this.#heart = setInterval(() => this.#beat(), this.#options.lease / 3);
    this.#loops = Promise.all([this.#stepLoop(), this.#claimLoop(), this.#reclaimLoop()]);
  }

  /** A hint that something may be in the queue. */
  wake(): void {
    this.#bell.ring();
  }

  /** What was asked of a run in this process, ahead of the store's own word. */
  obey(id: string, control: Control): void {
    const entry = this.#active.get(id);
    entry?.run.tell(control);
  }

  /** The step at work ends, runs are saved and handed back, and then it is over. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#loops;
    await Promise.all(this.#beside);
    if (!this.#killed) {
      await Promise.all([...this.#active.values()].map(async ({ run }) => {
        await this.#careful(run, () => run.handBack());
        this.#drop(run);
      }));
    }
    clearInterval(this.#heart);
  }

  /** Stops as a killed process would: nothing more is written. For tests. */
  kill(): void {
    this.#killed = true;
    clearInterval(this.#heart);
    this.#stopping.abort();
    for (const { run } of this.#active.values()) run.abandon();
    this.wake();
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #stepLoop(): Promise<void> {
    while (!this.#stopped) {
      const run = this.#rotation.next([...this.#active.values()].map(({ run }) => run).filter((run) => !run.resting));
      if (run === undefined) {
        await this.#begun.wait(this.#options.poll, this.#stopping.signal);
        continue;
      }
      await this.#careful(run, () => this.#turn(run));
      // Timers and answers of the store get their turn too, however fast the steps are. A timer of 0 would take one ms.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #turn(run: ActiveRun): Promise<void> {
    if (run.failure !== undefined) throw new LostStore(run.failure);
    const start = performance.now();
    this.#busySince = start;
    try {
      const turn = await run.turn(this.#paceOf(run));
      if (run.stepped) this.#pace.step(run.record.task, performance.now() - start);
      if (turn === "gone" || run.lost) return this.#drop(run);
      if (turn === "more") return;
      const result = await run.result();
      run.resting = true;
      this.#besideLoop(run, async () => {
        await run.finish(result);
        this.#pace.tail(run.record.task, performance.now() - start);
        this.#drop(run);
        await this.#savePace(run);
      });
    } finally {
      this.#busySince = undefined;
    }
  }

  #paceOf(run: ActiveRun): Pace {
    const { task } = run.record;
    return {
      perStep: () => {
        const alone = this.#pace.perStep(task);
        return alone === undefined ? undefined : alone * Math.max(1, this.#active.size);
      },
      tail: () => this.#pace.tailOf(task),
    };
  }

  #besideLoop(run: ActiveRun, work: () => Promise<void>): void {
    const done = this.#careful(run, work).finally(() => this.#beside.delete(done));
    this.#beside.add(done);
  }

  /** A failure costs its own run only. */
  async #careful(run: ActiveRun, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const lostStore = error instanceof LostStore;
      const cause = lostStore ? error.cause : error;
      this.#options.log({ level: "error", event: "run_failed", run: run.record.id, cause: String(cause) });
      run.resting = true;
      // A store that takes nothing takes no farewell either: the lease stands still, and the run goes on later.
      if (!lostStore && run.failure === undefined && !this.#killed) await run.fail(error).catch(() => {});
      run.abandon();
      this.#drop(run);
    }
  }

  #drop(run: ActiveRun): void {
    const entry = this.#active.get(run.record.id);
    if (entry?.run !== run) return;
    entry.watching.abort();
    this.#active.delete(run.record.id);
    this.#rotation.forget(run);
    void run.close();
    this.wake();
  }

  async #claimLoop(): Promise<void> {
    while (!this.#stopped) {
      const heard = this.#bell.rings;
      const free = this.#active.size < this.#options.slots;
      const claim = free ? await this.#patient(() => this.#queue.claim()) : null;
      if (claim !== null) {
        await this.#adopt(claim);
        if (claim.more) continue;
      }
      await this.#bell.wait(this.#options.poll, this.#stopping.signal, heard);
    }
  }

  async #reclaimLoop(): Promise<void> {
    while (!this.#stopped) {
      await this.#patient(async () => {
        const entries: Entry<Lease>[] = [];
        for await (const entry of listAll<Lease>(this.#options.ledger.store, { prefix: keys.allLeases })) {
          if (!this.#active.has(String(entry.key[1]))) entries.push(entry);
        }
        for (const entry of this.#leases.still(entries)) {
          const claim = await this.#queue.reclaim(entry, this.#active.size < this.#options.slots && !this.#stopped);
          if (claim !== null) await this.#adopt(claim);
        }
        return null;
      }, () => this.#leases.forget());
      await pause(this.#options.poll, this.#stopping.signal);
    }
  }

  async #adopt(claim: Claim): Promise<void> {
    const { ledger, engine, encode, spacing } = this.#options;
    const { owner, id, task } = claim.record;
    this.#options.log({ event: "claimed", run: id, token: claim.record.token, reclaimed: claim.reclaimed });
    const kind = kindOf(this.#options.kinds, task);
    const run = new ActiveRun(claim, kind, { ledger, queue: this.#queue, engine, encode, spacing });
    const watching = new AbortController();
    this.#active.set(id, { run, watching });
    void this.#watchControl(run, owner, id, watching.signal);
    await this.#loadPace(task);
    this.#begun.ring();
  }

  async #watchControl(run: ActiveRun, owner: string, id: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const [entry] of this.#options.ledger.store.watch<Control>([keys.control(owner, id)], signal)) {
        if (entry !== null && entry !== undefined) run.tell(entry.value);
      }
    } catch (error) {
      if (!signal.aborted) this.#options.log({ level: "error", event: "watch_failed", run: id, cause: String(error) });
    }
  }

  #beat(): void {
    if (this.#busySince !== undefined && performance.now() - this.#busySince > this.#options.bound) {
      this.#options.log({ level: "error", event: "engine_silent" });
      return;
    }
    for (const { run } of this.#active.values()) {
      if (run.failure === undefined) void run.beat().catch(() => {});
    }
  }

  /** A store that does not answer is asked again at the next turn of the loop. */
  async #patient<T>(work: () => Promise<T | null>, onFailure: () => void = () => {}): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      onFailure();
      if (!isUnreachable(error)) this.#options.log({ level: "error", event: "store_failed", cause: String(error) });
      await pause(this.#options.poll, this.#stopping.signal);
      return null;
    }
  }

  async #loadPace(task: string): Promise<void> {
    if (this.#pace.perStep(task) !== undefined) return;
    const entry = await this.#options.ledger.store.get<{ fingerprint: string; step_ms: number; tail_ms: number }>(
      keys.rate(task),
    ).catch(() => null);
    if (entry?.value.fingerprint === this.#options.engine.fingerprint) {
      this.#pace.load(task, entry.value.step_ms, entry.value.tail_ms);
    }
  }

  async #savePace(run: ActiveRun): Promise<void> {
    const { task } = run.record;
    const step_ms = this.#pace.perStep(task);
    const now = performance.now();
    if (step_ms === undefined || now - (this.#paceSaved.get(task) ?? -Infinity) < PACE_INTERVAL) return;
    this.#paceSaved.set(task, now);
    const value = { fingerprint: this.#options.engine.fingerprint, step_ms, tail_ms: this.#pace.tailOf(task) };
    await this.#options.ledger.store.commit({ sets: [{ key: keys.rate(task), value }] }).catch(() => {});
  }
}

/** A run whose writes the store refused. */
class LostStore extends Error {
  constructor(cause: unknown) {
    super("the store refused a write of this run", { cause });
  }
}
