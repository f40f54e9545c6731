/**
 * One run in a worker's hands: it takes steps when told, obeys what was asked of it, and ends with its result. What it
 * writes goes through fenced_run.ts.
 *
 * @module
 */
import { begin, takingPart } from "./beginning.ts";
import { keys } from "./keys.ts";
import { FencedRun } from "./fenced_run.ts";
import { isUnreachable, type Ledger, pause } from "./ledger.ts";
import { type Claim, type Queue, settle, type Settled } from "./queue.ts";
import { type Control, type EventBody, problemOf, type RunOutput, type RunRecord } from "./record.ts";
import { mergeCounts, stepsWithin } from "./state/budget.ts";
import { budgetOf, type Kind } from "./state/kind.ts";
import { countsOf, fileOf } from "./result_file.ts";
import type { EncodeOutput, OpenSteps, StepEngine, StepResult } from "./step_engine.ts";
import { stageUntilDone } from "./stored_state.ts";
import type { Commit } from "./store/types.ts";
import { ToldText } from "./told_text.ts";
import { UnmaskError } from "../errors.ts";

export interface ActiveRunParts {
  readonly ledger: Ledger;
  readonly queue: Queue;
  readonly engine: StepEngine;
  readonly encode: EncodeOutput;
  /** Ms between two snapshots. */
  readonly spacing: number;
}

/** Measured, in ms; undefined: not yet. */
export interface Pace {
  /** One step of this run, the turns of others in between included. */
  perStep(): number | undefined;
  /** From the last step to the saved result. */
  tail(): number;
}

/** Name of the blob that holds a run's picture file. */
export const RESULT = "result";

/** Ms between two reads of what was asked of a run: beside the watch, and not at each step where steps are short. */
const CONTROL_INTERVAL = 100;

/** What a turn led to: another may follow, the run has left the worker, or its result is due. */
export type Turn = "more" | "gone" | "result";

export class ActiveRun {
  readonly kind: Kind;
  readonly #parts: ActiveRunParts;
  readonly #fenced: FencedRun;
  #state: unknown;
  #steps: OpenSteps | undefined;
  readonly #text: ToldText;
  #merges: RunRecord["merges"];
  /** Takes no turns: its result is being saved. */
  resting = false;
  /** The last turn computed a step. */
  stepped = false;
  #control: Control;
  /** Raised by every word from outside, so that a read that began before it cannot undo it. */
  #told = 0;
  /** When the last read of the control began. */
  #controlRead = Number.NEGATIVE_INFINITY;

  constructor(claim: Claim, kind: Kind, parts: ActiveRunParts) {
    this.kind = kind;
    this.#parts = parts;
    this.#text = new ToldText(kind, parts.engine);
    this.#merges = claim.record.merges;
    const present = () => ({
      record: this.#progressed(),
      state: this.#state === undefined ? null : kind.encode(kind.detach?.(this.#state) ?? this.#state),
    });
    this.#fenced = new FencedRun(claim, { ...parts, present });
    this.#control = claim.control;
  }

  get record(): RunRecord {
    return this.#fenced.record;
  }

  get lost(): boolean {
    return this.#fenced.lost;
  }

  /** The first failure of a write that was made behind the loop; the worker hands the run back for it. */
  get failure(): unknown {
    return this.#fenced.failure;
  }

  /** One step at most. Throws what the engine throws. */
  async turn(pace: Pace): Promise<Turn> {
    this.stepped = false;
    if (this.lost) return "gone";
    const settled = settle(this.#progressed(), this.control, this.#parts.ledger.now());
    if (settled?.changes.state === "paused") return await this.#pause(settled);
    if (settled !== null) {
      await this.#leave(settled);
      return "gone";
    }
    if (this.#state === undefined) {
      this.#state = await this.#begin();
      return this.kind.done(this.#state) ? "result" : "more";
    }
    if (this.kind.done(this.#state)) return "result";
    await this.#keepBudget(pace);
    // Beside the step, so that the loop waits for no store. A watch of a store of this process alone is never late.
    if (this.#parts.ledger.store.info.shared) void this.#readControl();
    // A merge of counts closes the stepper: under a budget no step is begun that may be in vain.
    this.#steps ??= await this.#parts.engine.open(this.record.task, this.#state, this.record.budget_ms === null);
    const delta = await this.#steps.step();
    if (delta === null) throw new Error("the stepper ended before its state");
    this.#state = this.kind.fold(this.#state, delta);
    this.stepped = true;
    const progress = this.kind.progress(this.#state);
    this.#fenced.note({ type: "run.step", data: { ...progress, revealed: delta.positions.length } });
    this.#note(await this.#text.next(this.#state));
    this.#fenced.saveBehind();
    return this.kind.done(this.#state) ? "result" : "more";
  }

  #note(event: EventBody | null): void {
    if (event !== null) this.#fenced.note(event);
  }

  /** A pause may have been taken back while its word was on the way: it is obeyed as it stands in the store, if it does. */
  async #pause(settled: Settled): Promise<Turn> {
    const { store } = this.#parts.ledger;
    const key = keys.control(this.record.owner, this.record.id);
    const entry = await store.get<Control>(key).catch(async (error: unknown) => {
      if (!isUnreachable(error)) throw error;
      await pause(CONTROL_INTERVAL);
      return undefined;
    });
    if (entry === undefined) return "more";
    if (entry?.value.pause !== true) {
      this.tell(entry?.value ?? {});
      return "more";
    }
    await this.#leave(settled, [{ checks: [{ key, version: entry.version }] }]);
    return "gone";
  }

  get control(): Control {
    return this.#control;
  }

  /** A cancel is never taken back, however late an older word arrives. */
  tell(control: Control): void {
    this.#told++;
    this.#control = this.#control.cancel === true ? { ...control, cancel: true } : control;
  }

  async #readControl(): Promise<void> {
    const now = performance.now();
    if (now - this.#controlRead < CONTROL_INTERVAL) return;
    this.#controlRead = now;
    const { owner, id } = this.record;
    const told = this.#told;
    const entry = await this.#parts.ledger.store.get<Control>(keys.control(owner, id)).catch(() => null);
    if (entry !== null && told === this.#told) this.tell(entry.value);
  }

  /** The first state here. Says which numerics take part. */
  async #begin(): Promise<unknown> {
    const { engine, ledger } = this.#parts;
    const changes = takingPart(this.record, engine);
    const state = await begin(this.record, { store: ledger.store, engine, kind: this.kind });
    await this.#text.takeUp(state);
    this.#fenced.amend(changes);
    return state;
  }

  /** Merges the counts to come if the time left is short; durable before any merged step runs. */
  async #keepBudget(pace: Pace): Promise<void> {
    const { budget_ms, created_at } = this.record;
    const perStep = pace.perStep();
    if (budget_ms === null || perStep === undefined) return;
    const budget = budgetOf(this.kind);
    const counts = budget.counts(this.#state);
    const left = created_at + budget_ms - this.#parts.ledger.now();
    const steps = stepsWithin(left, perStep, pace.tail());
    if (steps >= counts.length) return;
    const merged = mergeCounts(counts, steps);
    const { step } = this.kind.progress(this.#state);
    await this.#steps?.close();
    this.#steps = undefined;
    this.#state = budget.withCounts(this.#state, merged);
    this.#merges = [...this.#merges, { step, counts: [...merged] }];
    this.#fenced.note({ type: "run.budget", data: { step, counts: merged } });
    await this.#fenced.save();
  }

  /** The record with what the state says, not yet written. */
  #progressed(): RunRecord {
    if (this.#state === undefined) return this.record;
    return { ...this.record, ...this.kind.progress(this.#state), merges: this.#merges };
  }

  async #leave(settled: Settled, more: readonly Commit[] = [], file: Uint8Array | null = null): Promise<void> {
    await this.#fenced.leave(settled, more, file);
    await this.close();
  }

  /** The picture; the engine's last call for this run. */
  async result(): Promise<StepResult> {
    const result = await this.#parts.engine.result(this.record.task, this.#state);
    // Nothing that follows asks the engine again.
    void this.close();
    return result;
  }

  /** Saves the result and ends the run, unless a cancel came first. */
  async finish(result: StepResult): Promise<void> {
    const { encode, ledger } = this.#parts;
    this.#fenced.rest();
    const { bytes, media } = await fileOf(result, this.record.encoding, encode);
    await this.#fenced.settled();
    if (this.lost) return;
    if (this.control.cancel === true) {
      const cancelled = settle(this.#progressed(), this.control, 0);
      if (cancelled !== null) return await this.#leave(cancelled);
    }
    // A result lies in no store before the commit that ends its run, and that is this one or none.
    const staged = await stageUntilDone(ledger.store, this.record, RESULT, bytes, media, null);
    const output: RunOutput = {
      blob: RESULT,
      sha256: staged.head.sha256,
      media_type: media,
      bytes: bytes.length,
      ...countsOf(result),
    };
    if ("text" in result && this.kind.settled !== undefined) this.#note(this.#text.until(result.text));
    const { step, steps } = this.kind.progress(this.#state);
    await this.#leave(
      {
        changes: { state: "succeeded", output, attempts: 0, error: null },
        events: [{ type: "run.succeeded", data: { step, steps, output } }],
      },
      [staged],
      bytes,
    );
  }

  /** What the engine threw: an answer that will not change ends the run; anything else is tried again elsewhere. */
  async fail(thrown: unknown): Promise<void> {
    await this.close();
    if (this.lost) return;
    const error = problemOf(thrown);
    if (thrown instanceof UnmaskError && thrown.status < 500 && thrown.code !== "numerics_differ") {
      await this.#leave({ changes: { state: "failed", error }, events: [{ type: "run.failed", data: { error } }] });
      return;
    }
    await this.#fenced.handBack("step_failed", error);
  }

  /** Graceful stop: save, and let another worker go on at once. */
  async handBack(): Promise<void> {
    await this.close();
    await this.#fenced.handBack("worker_stops", this.record.error);
  }

  /** Renews the lease. */
  async beat(): Promise<void> {
    await this.#fenced.beat();
  }

  /** Writes nothing from now on. */
  abandon(): void {
    this.#fenced.abandon();
  }

  /** Closes the stepper; the state stays, so that the next turn can open it again. */
  async close(): Promise<void> {
    const steps = this.#steps;
    this.#steps = undefined;
    await steps?.close().catch(() => undefined);
  }
}
