/**
 * The Halton order: points of a low-discrepancy sequence in bases 2 and 3, each taken at the grid position it falls in,
 * the first time it does.
 *
 * Source: Halton (1960); its use for masked image models: arXiv 2503.17076. The released LaViDa-O code has none.
 *
 * @module
 */

/**
 * A permutation of the positions of an n x n grid, row-major indices. Any n; the order is a constant of n.
 */
export function haltonOrder(n: number): Uint32Array {
  const order = new Uint32Array(n * n);
  const taken = new Uint8Array(n * n);
  let filled = 0;
  // Ends: 2^a 3^b consecutive points fill every box of an a-by-b elementary partition, and boxes of less than half a
  // cell's side lie wholly inside each cell.
  for (let index = 1; filled < order.length; index++) {
    const x = radicalInverse(index, 2, n);
    const y = radicalInverse(index, 3, n);
    const position = y * n + x;
    if (taken[position]) continue;
    taken[position] = 1;
    order[filled++] = position;
  }
  return order;
}

/** Column of the digits of `index` in `base`, mirrored at the point: floor(0.d0d1d2... n), in integers. */
function radicalInverse(index: number, base: number, n: number): number {
  let numerator = 0;
  let denominator = 1;
  for (let rest = index; rest > 0; rest = Math.floor(rest / base)) {
    numerator = numerator * base + (rest % base);
    denominator *= base;
  }
  return Math.floor((numerator * n) / denominator);
}
