/**
 * The prompts of an evaluation: GenEval's own, as far as the world has their classes, or generated ones of combinations
 * that training showed.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { UnmaskError } from "../../core/errors.ts";
import { createGenerator } from "./generate.ts";
import { KINDS, type Metadata } from "./prompt.ts";
import { createChooser } from "./random.ts";
import type { World } from "./world.ts";

export interface Choice {
  readonly seed: number;
  /** Prompts in all, in equal shares of the six kinds; absent: every prompt once. */
  readonly n?: number;
  /** Generated prompts of seen combinations instead of GenEval's. */
  readonly seen: boolean;
}

/** GenEval's prompts whose classes the world has, in the benchmark's order. */
export async function genevalPrompts(world: World): Promise<Metadata[]> {
  const known = new Set(world.data.classes.map(({ name }) => name));
  const text = await readFile(new URL("../geneval/evaluation_metadata.jsonl", import.meta.url), "utf8");
  const records: Metadata[] = text.trim().split("\n").map((line) => JSON.parse(line));
  return records.filter(({ include }) => include.every((wanted) => known.has(wanted.class)));
}

/**
 * @throws {UnmaskError} `n_not_in_shares`: n is no multiple of six; `n_missing`: generated prompts without a number
 */
export async function choosePrompts(world: World, { seed, n, seen }: Choice): Promise<Metadata[]> {
  if (n !== undefined && !(Number.isInteger(n) && n > 0 && n % KINDS.length === 0)) {
    throw new UnmaskError({
      code: "n_not_in_shares",
      message: `${n} prompts cannot be shared equally by ${KINDS.length} kinds`,
      fix: `use a multiple of ${KINDS.length}`,
      param: "n",
    });
  }
  if (seen) {
    if (n === undefined) {
      throw new UnmaskError({
        code: "n_missing",
        message: "seen prompts are generated, and there is no end to them",
        fix: "say how many with --n, for example --n 1002",
        param: "n",
      });
    }
    const generator = createGenerator(world, seed);
    return Array.from({ length: n }, (_, i) => generator.metadata(KINDS[i % KINDS.length] ?? KINDS[0], "seen"));
  }
  const all = await genevalPrompts(world);
  if (n === undefined) return all;
  const choose = createChooser(seed), share = n / KINDS.length;
  return KINDS.flatMap((kind) => {
    const pool = all.filter(({ tag }) => tag === kind);
    let left: Metadata[] = [];
    return Array.from({ length: share }, () => {
      // Each prompt once before any comes again.
      if (left.length === 0) left = [...pool];
      const [picked] = left.splice(choose.below(left.length), 1);
      if (picked === undefined) throw new RangeError(`no prompts of kind ${kind}`);
      return picked;
    });
  });
}
