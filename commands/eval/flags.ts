/**
 * The flags of evaluations: which each takes, and the refusal of those that it does not.
 *
 * @module
 */
import { UnmaskError } from "../../core/errors.ts";
import { COMMON_FLAGS, type Flag, type FlagValues } from "../lib/flags.ts";
import { MODEL_FLAGS } from "../lib/model.ts";

const OWN_FLAGS = {
  n: { kind: "number", help: "cases: prompts, questions, expressions or instructions (default: what the task says)" },
  seed: { kind: "number", help: "chooses the cases, and draws (default: 0)" },
  seeds: { kind: "number", help: "t2i, reflect: pictures a prompt (default: 1)" },
  seen: { kind: "switch", help: "t2i, plan, reflect: generated prompts of seen combinations; needs --n" },
  plan: {
    kind: "text",
    help: "t2i: draw also after a plan, own or true, and compare (default: none); reflect: own or none",
  },
  rounds: { kind: "number", help: "reflect: rounds at most (default: 8)" },
  ways: { kind: "text", help: "edit: of three_way,two_way,planned,locked, those to compare (default: all)" },
  order: { kind: "text", help: "t2i: stratified, confidence, halton or random" },
  steps: { kind: "number", help: "t2i, edit: forward passes a picture" },
  guidance: { kind: "number", help: "t2i, edit: guidance w" },
  temperature: { kind: "number", help: "t2i, edit: sampling temperature" },
  out: { kind: "text", help: "a folder for the cases and pictures, one a task" },
} as const satisfies Readonly<Record<string, Flag>>;

export const EVAL_FLAGS = { ...OWN_FLAGS, ...MODEL_FLAGS, ...COMMON_FLAGS } as const;

export type EvalFlags = FlagValues<typeof EVAL_FLAGS>;
export type OwnFlag = keyof typeof OWN_FLAGS;

/** @throws {UnmaskError} `flag_unused` for one that the task would ignore */
export function refuseFlags(flags: EvalFlags, task: string, takes: readonly OwnFlag[]): void {
  const names = Object.keys(OWN_FLAGS) as OwnFlag[];
  const unused = names.find((name) => flags[name] !== undefined && flags[name] !== false && !takes.includes(name));
  if (unused === undefined) return;
  throw new UnmaskError({
    code: "flag_unused",
    message: `--${unused} has no effect on eval ${task}`,
    fix: `leave it out; eval ${task} takes ${takes.map((name) => `--${name}`).join(" ")}`,
    param: unused,
  });
}

/**
 * A flag that counts.
 *
 * @throws {UnmaskError} `<name>_out_of_range`
 */
export function countOf(flags: EvalFlags, name: "n" | "seeds" | "rounds", otherwise: number): number {
  const value = flags[name] ?? otherwise;
  if (Number.isInteger(value) && value >= 1) return value;
  throw new UnmaskError({
    code: `${name}_out_of_range`,
    message: `--${name} ${value} cannot be counted`,
    fix: "use a whole number from 1",
    param: name,
  });
}
