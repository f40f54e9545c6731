/**
 * Top-k and top-p, always given together: the k largest logits, and of their distribution the smallest set of the most
 * probable whose mass reaches p.
 *
 * Source: facts 6.1; which ids survive is in test/parity/schedule.json.
 *
 * @module
 */

export interface Filter {
  /** 0 keeps all. */
  readonly topK: number;
  /** In (0, 1]; 1 keeps all. */
  readonly topP: number;
}

/** Reused by every call on the same vocabulary. */
export class FilterScratch {
  readonly sorted: Float32Array;
  constructor(vocabulary: number) {
    this.sorted = new Float32Array(vocabulary);
  }
}

/**
 * Sets what does not survive to -Infinity, in place. Of logits equal to the last that survives, all survive.
 *
 * @param logits [vocabulary]; a NaN counts as -Infinity, and with an Infinity among them top-p keeps all
 */
export function applyFilter(logits: Float32Array, filter: Filter, scratch: FilterScratch): void {
  const { topK, topP } = filter;
  const size = logits.length;
  const limited = topK > 0 && topK < size;
  if (!limited && topP >= 1) return;
  const sorted = scratch.sorted;
  for (let i = 0; i < size; i++) if (Number.isNaN(logits[i])) logits[i] = -Infinity; // it would sort as the largest
  sorted.set(logits);
  sorted.sort();
  const rank = (r: number) => sorted[size - 1 - r] as number;
  let keep = limited ? topK : size;
  while (keep < size && rank(keep) === rank(keep - 1)) keep++;
  if (topP < 1) keep = nucleus(rank, keep, topP);
  const last = rank(keep - 1);
  for (let i = 0; i < size; i++) if ((logits[i] as number) < last) logits[i] = -Infinity;
}

/** How many of the first `size` ranks it takes for their softmax mass to exceed p. */
function nucleus(rank: (r: number) => number, size: number, p: number): number {
  const highest = rank(0);
  let total = 0;
  for (let r = 0; r < size; r++) total += Math.exp(rank(r) - highest);
  let mass = 0;
  for (let r = 0; r < size; r++) {
    mass += Math.exp(rank(r) - highest);
    if (mass > p * total) return r + 1;
  }
  return size;
}
