/**
 * What a worker asks of whatever computes: a task's first state, steps from any state, and the result. The embedded one
 * is the inference thread; tests and benches put a table or a sleep in its place.
 *
 * @module
 */
import type { Picture } from "../model/types.ts";
import type { OutputFormat } from "./record.ts";
import type { TaskResult } from "../tasks/all_tasks.ts";
import type { Delta } from "../tasks/task.ts";

export interface OpenSteps {
  step(): Promise<Delta | null>;
  close(): Promise<void>;
}

/** What a run gives. */
export type StepResult = TaskResult;

export interface StepEngine {
  /** See state/fingerprint.ts. */
  readonly fingerprint: string;
  /** @throws {UnmaskError} with a status below 500 for what the model cannot do: trying again would not help */
  start(task: string, input: unknown): Promise<unknown>;
  /** @param ahead steps may be begun before they are asked for. @default {true} */
  open(task: string, state: unknown, ahead?: boolean): Promise<OpenSteps>;
  result(task: string, state: unknown): Promise<StepResult>;
  /** Of a task that fills text: what will not change any more; see core/tasks/all_tasks.ts. */
  text?(task: string, state: unknown): Promise<string>;
  /** VQ ids, none masked, to pixels. */
  decode(ids: Uint16Array): Promise<Picture>;
  /** The code nearest the codebook's mean. */
  meanCode(): Promise<number>;
}

/** Pixels to a file's bytes, the same bytes for the same pixels. @param quality 0 to 100; absent for png */
export type EncodeOutput = (picture: Picture, format: OutputFormat, quality?: number) => Promise<Uint8Array>;
