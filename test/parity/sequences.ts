/**
 * Reads sequences.json: runs are stored as [value, length].
 *
 * @module
 */
import { readFileSync } from "node:fs";

export type Runs = readonly (number | readonly [number, number])[];

export interface SequenceCase {
  readonly file: string;
  readonly case: string;
  readonly text: string;
  readonly ids: Runs;
  readonly is_prompt?: Runs;
  readonly prompt?: string;
  readonly plan?: string;
  readonly feedback_texts?: readonly string[];
  readonly edit_mode?: 0 | 1 | 2 | 3;
  readonly masked?: Readonly<Record<"un" | "enc" | "full", Runs>>;
  readonly image_branch?: Readonly<Record<"un" | "enc" | "full", Runs>>;
  readonly mode?: "refcoco" | "grand";
  readonly expressions?: readonly string[];
  readonly mask_positions?: readonly number[];
}

export interface FrameCase {
  readonly width: number;
  readonly height: number;
  readonly box_xyxy: readonly [number, number, number, number];
  readonly loc: readonly [number, number, number, number];
}

export function expand(runs: Runs): number[] {
  return runs.flatMap((item) => typeof item === "number" ? [item] : new Array<number>(item[1]).fill(item[0]));
}

export function readSequences(): { readonly cases: readonly SequenceCase[]; readonly frame: readonly FrameCase[] } {
  return JSON.parse(readFileSync(new URL("./sequences.json", import.meta.url), "utf8"));
}
