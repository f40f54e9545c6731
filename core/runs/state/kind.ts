/**
 * What a run must know of its task beside the step machine itself: the state as bytes, how far it is, and what may be
 * done to it between steps. All of it is pure and needs no model, so a front without an engine can do it too.
 *
 * @module
 */
import { UnmaskError } from "../../errors.ts";
import type { Delta, Sequence } from "../../tasks/task.ts";

/** Steps done, and how many there are in all as far as the state knows. */
export interface Progress {
  readonly step: number;
  readonly steps: number;
}

/** Methods, not properties: a `Kind<DrawInput, DrawState>` stands wherever any `Kind` does. */
export interface Kind<Input = unknown, State = unknown> {
  readonly name: string;
  /** @throws {UnmaskError} what the task's schema refuses */
  parse(input: unknown): Input;
  encode(state: State): Uint8Array;
  /** `decode(encode(state))` and a step give what `state` and a step give, bit for bit. @throws `state_unreadable` */
  decode(bytes: Uint8Array): State;
  /** Pure. */
  fold(state: State, delta: Delta): State;
  done(state: State): boolean;
  progress(state: State): Progress;
  /** Those that a whole run of it reveals. */
  tokens(state: State): number;
  /** Names of input fields that hold pictures, at any depth; see input_files.ts. */
  readonly files?: readonly string[];
  /** The task has no chance in it: its input takes no seed. */
  readonly seedless?: boolean;
  /** Without the pictures of its input, as it is kept: they lie beside the run already. */
  detach?(state: State): State;
  /** With the pictures of a state that was started anew from the same input. */
  attach?(state: State, fresh: State): State;
  /** Of a task that fills text: tokens that will not change any more. */
  settled?(state: State): number;
  /** Of a task that fills a picture. */
  readonly picture?: PictureKind<State>;
}

/** A task that fills one picture: its past can be seen, branched and redrawn. */
export interface PictureKind<State = unknown> {
  /**
   * VQ ids of a square grid, row-major: of the picture as it is, its past included; where several are drawn in turn, of
   * the one of that step. @param step @default the last
   */
  sequence(state: State, step?: number): Sequence;
  /** As they were really used, defaults included. */
  settings(state: State): { readonly guidance: number; readonly order: string };
  /** Of a picture whose steps are known beforehand, so that a time budget can merge them. */
  readonly budget?: BudgetKind<State>;
  /**
   * `fresh` (a run not begun) over what `parent` had revealed by step `step`. @throws {UnmaskError} `fork_out_of_range`
   */
  fork(fresh: State, parent: State, step: number): State;
  /** `fresh` over a finished parent whose `positions` are masked again. @throws {UnmaskError} `region_empty`, `redraw_too_early` */
  redraw(fresh: State, parent: State, positions: Uint32Array): State;
}

export interface BudgetKind<State = unknown> {
  /** What each step to come reveals. */
  counts(state: State): readonly number[];
  /** The same state with these counts to come. @throws {RangeError} of another sum */
  withCounts(state: State, counts: readonly number[]): State;
}

/** The kinds that a server knows. @throws {UnmaskError} `task_unknown` */
export function kindOf(kinds: readonly Kind[], name: string): Kind {
  const kind = kinds.find((kind) => kind.name === name);
  if (kind !== undefined) return kind;
  throw new UnmaskError({
    code: "task_unknown",
    message: "there is no task of that name here",
    fix: `use ${kinds.map(({ name }) => name).join(", ")}`,
    param: "task",
  });
}

/** What a time budget does to runs of a kind. @throws {UnmaskError} `budget_unsupported` */
export function budgetOf(kind: Kind): BudgetKind {
  const budget = kind.picture?.budget;
  if (budget !== undefined) return budget;
  throw new UnmaskError({
    code: "budget_unsupported",
    message: `a run of the task ${kind.name} cannot be hurried by a time budget: it does not fill one picture`,
    fix: "leave budget_ms out; deadline_ms ends a run that comes too late",
    param: "budget_ms",
  });
}

/** The picture side of a kind. @throws {UnmaskError} `task_has_no_picture` */
export function pictureOf(kind: Kind): PictureKind {
  if (kind.picture !== undefined) return kind.picture;
  throw new UnmaskError({
    code: "task_has_no_picture",
    message: `a run of the task ${kind.name} fills no picture`,
    fix: "use a run that draws",
  });
}
