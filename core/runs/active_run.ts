/**
 * One run in a worker's hands: it takes steps when told, obeys what was asked of it, and ends with its result. What it
 * writes goes through fenced_run.ts.
 *
 * @module
 */
import { keys } from "./keys.ts";
import { FencedRun } from "./fenced_run.ts";
import { readFiles } from "./input_files.ts";
import type { Ledger } from "./ledger.ts";
import { type Claim, type Queue, settle, type Settled } from "./queue.ts";
import { type Control, type Origin, problemOf, type RunOutput, type RunRecord } from "./record.ts";
import { mergeCounts, stepsWithin } from "./state/budget.ts";
import { type Kind, pictureOf } from "./state/kind.ts";
import { countsOf, fileOf } from "./result_file.ts";
import type { EncodeOutput, OpenSteps, StepEngine, StepResult } from "./step_engine.ts";
import { readState, stageUntilDone } from "./stored_state.ts";
import type { Commit } from "./store/types.ts";
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
  /** Tokens of text that are done, and what was told of them. */
  #settled = 0;
  #said = "";
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
    this.#steps ??= await this.#parts.engine.open(this.record.task, this.#state);
    const delta = await this.#steps.step();
    if (delta === null) throw new Error("the stepper ended before its state");
    this.#state = this.kind.fold(this.#state, delta);
    this.stepped = true;
    const progress = this.kind.progress(this.#state);
    this.#fenced.note({ type: "run.step", data: { ...progress, revealed: delta.positions.length } });
    await this.#tellText();
    this.#fenced.saveBehind();
    return this.kind.done(this.#state) ? "result" : "more";
  }

  /** A block of text that is done is told at once; `run.text` events together are the answer. */
  async #tellText(): Promise<void> {
    const settled = this.kind.settled?.(this.#state) ?? 0;
    const { engine } = this.#parts;
    if (settled <= this.#settled || engine.text === undefined) return;
    this.#settled = settled;
    this.#noteText(await engine.text(this.record.task, this.#state));
  }

  #noteText(text: string): void {
    // A beginning that changed could not be taken back: then the result alone has it right.
    if (text.length <= this.#said.length || !text.startsWith(this.#said)) return;
    this.#fenced.note({ type: "run.text", data: { text: text.slice(this.#said.length) } });
    this.#said = text;
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

  /** The first state, from the last snapshot if there is one. Says which numerics take part. */
  async #begin(): Promise<unknown> {
    const { engine, ledger } = this.#parts;
    const { record } = this;
    const known = record.fingerprints;
    const exact = record.exact && (known.length === 0 || known.at(-1) === engine.fingerprint);
    if (!exact && record.require_exact && known.at(-1) !== engine.fingerprint) {
      throw new UnmaskError({
        code: "numerics_differ",
        message: "this worker computes with other numerics than the run began with, and the run asks for exactness",
        fix: "start a worker like the first one, or the run without require_exact",
        status: 409,
      });
    }
    // Nobody has written a state before the first claim.
    const stored = record.claims === 1
      ? null
      : await readState(ledger.store, keys.state(record.owner, record.id), record.owner, record.id);
    const state = stored === null ? await this.#first() : await this.#resumed(stored);
    if (known.at(-1) !== engine.fingerprint) {
      this.#fenced.amend({ fingerprints: [...known, engine.fingerprint], exact });
    }
    return state;
  }

  /** A state from its bytes, with the pictures that lie beside it, and what was told of its text. */
  async #resumed(stored: Uint8Array): Promise<unknown> {
    const { kind } = this;
    const { engine } = this.#parts;
    const detached = kind.decode(stored);
    const state = kind.attach === undefined ? detached : kind.attach(detached, await this.#fresh());
    this.#settled = kind.settled?.(state) ?? 0;
    if (this.#settled > 0 && engine.text !== undefined) this.#said = await engine.text(this.record.task, state);
    return state;
  }

  /** As the run began, without its origin. */
  async #fresh(): Promise<unknown> {
    const { engine, ledger } = this.#parts;
    const { owner, id, task, input } = this.record;
    return await engine.start(task, await readFiles(ledger.store, owner, id, input));
  }

  async #first(): Promise<unknown> {
    const { ledger } = this.#parts;
    const { record } = this;
    const fresh = await this.#fresh();
    if (record.origin === null) return fresh;
    const stored = await readState(ledger.store, keys.origin(record.owner, record.id), record.owner, record.id);
    if (stored === null) throw originMissing();
    return branch(this.kind, fresh, this.kind.decode(stored), record.origin);
  }

  /** Merges the counts to come if the time left is short; durable before any merged step runs. */
  async #keepBudget(pace: Pace): Promise<void> {
    const { budget_ms, created_at } = this.record;
    const perStep = pace.perStep();
    if (budget_ms === null || perStep === undefined || this.kind.picture === undefined) return;
    const picture = pictureOf(this.kind);
    const counts = picture.counts(this.#state);
    const left = created_at + budget_ms - this.#parts.ledger.now();
    const steps = stepsWithin(left, perStep, pace.tail());
    if (steps >= counts.length) return;
    const merged = mergeCounts(counts, steps);
    const { step } = this.kind.progress(this.#state);
    await this.#steps?.close();
    this.#steps = undefined;
    this.#state = picture.withCounts(this.#state, merged);
    this.#merges = [...this.#merges, { step, counts: [...merged] }];
    this.#fenced.note({ type: "run.budget", data: { step, counts: merged } });
    await this.#fenced.save();
  }

  /** The record with what the state says, not yet written. */
  #progressed(): RunRecord {
    if (this.#state === undefined) return this.record;
    return { ...this.record, ...this.kind.progress(this.#state), merges: this.#merges };
  }

  async #leave(settled: Settled, ...more: readonly Commit[]): Promise<void> {
    await this.#fenced.leave(settled, ...more);
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
    const staged = await stageUntilDone(ledger.store, this.record, RESULT, bytes, media);
    const output: RunOutput = {
      blob: RESULT,
      sha256: staged.head.sha256,
      media_type: media,
      bytes: bytes.length,
      ...countsOf(result),
    };
    if ("text" in result && result.boxes === undefined) this.#noteText(result.text);
    const { step, steps } = this.kind.progress(this.#state);
    await this.#leave({
      changes: { state: "succeeded", output, attempts: 0, error: null },
      events: [{ type: "run.succeeded", data: { step, steps, output } }],
    }, staged);
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

/** A fork's or redraw's first state. */
function branch(kind: Kind, fresh: unknown, parent: unknown, origin: Origin): unknown {
  const picture = pictureOf(kind);
  return origin.kind === "fork"
    ? picture.fork(fresh, parent, origin.step)
    : picture.redraw(fresh, parent, Uint32Array.from(origin.positions ?? []));
}

function originMissing(): UnmaskError {
  return new UnmaskError({
    code: "origin_missing",
    message: "the state that this run was to begin from is gone",
    fix: "fork or redraw again from a run that is still there",
    status: 410,
  });
}
