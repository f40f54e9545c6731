/**
 * The shape of every task: a step machine over plain data (docs/design.md, "A task is a step machine"). The state is
 * all that must survive; what is costly and rebuildable (prompt K/V, sessions, buffers) lives in the stepper.
 *
 * @module
 */
import type { ZodType } from "zod";

/** Token ids and the step at which each was revealed (0 = masked): a run's present and all of its past. */
export interface Sequence {
  readonly kind: "vq" | "text";
  readonly maskId: number;
  /** VQ ids or text ids; `maskId` where masked. */
  readonly ids: Uint16Array | Uint32Array;
  /** Step number (from 1) at which a position was revealed, 0 while masked. */
  readonly revealedAt: Uint16Array;
}

/** One step's news: positions and the ids that they now hold. */
export interface Delta {
  readonly step: number;
  readonly positions: Uint32Array;
  readonly ids: Uint32Array;
}

export interface Stepper<D = Delta> {
  /** The next delta, or null when the state was complete. */
  step(): Promise<D | null>;
  close(): void;
  /** Of prompts that it holds: what closing it gives back. Absent: nothing worth counting. */
  readonly bytes?: number;
}

export interface Task<Input, State, Result, Model, D = Delta> {
  readonly name: string;
  readonly input: ZodType<Input>;
  start(input: Input, model: Model): State;
  /** `open(fold(state, deltas))` goes on exactly where the deltas ended. */
  open(state: State, model: Model): Promise<Stepper<D>>;
  /** Pure: never mutates `state`. */
  fold(state: State, delta: D): State;
  done(state: State): boolean;
  result(state: State, model: Model): Promise<Result>;
}
