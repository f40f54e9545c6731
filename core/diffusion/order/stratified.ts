/**
 * The stratified order: after k rounds of halving, every block of that round holds exactly one revealed position, so
 * tokens revealed together lie far apart.
 *
 * Source: facts 6.3; golden values in facts 12.
 *
 * @module
 */
import { UnmaskError } from "../../errors.ts";
import { MersenneTwister } from "./mersenne_twister.ts";

/** The published code seeds every picture's order with this. */
export const STRATIFIED_SEED = 42;

const cache = new Map<number, Uint32Array>();

interface Block {
  readonly x: number;
  readonly y: number;
}

/**
 * A permutation of the positions of an n x n grid, row-major indices.
 *
 * @param n a power of two
 * @param seed of Python's `random.Random`
 * @throws {UnmaskError} `order_needs_power_of_two`
 */
export function stratifiedOrder(n: number, seed: number = STRATIFIED_SEED): Uint32Array {
  if (!Number.isInteger(n) || n < 1 || 2 ** Math.round(Math.log2(n)) !== n) {
    throw new UnmaskError({
      code: "order_needs_power_of_two",
      message: `the stratified order halves the grid, and ${n} is no power of two`,
      fix: "use the order halton, random or confidence",
      param: "order",
    });
  }
  const known = seed === STRATIFIED_SEED ? cache.get(n) : undefined;
  const order = known ?? build(n, new MersenneTwister(seed));
  if (seed === STRATIFIED_SEED) cache.set(n, order);
  return order.slice();
}

function build(n: number, random: MersenneTwister): Uint32Array {
  const order = new Uint32Array(n * n);
  if (n === 1) return order;
  let filled = 0;
  let blocks: Block[] = [{ x: 0, y: 0 }];
  for (let side = n / 2; side >= 1; side /= 2) {
    const children = blocks.flatMap(({ x, y }): Block[] => [
      { x, y },
      { x: x + side, y },
      { x, y: y + side },
      { x: x + side, y: y + side },
    ]);
    random.shuffle(children);
    // Which blocks already hold a point, by the block's own coordinates.
    const across = n / side;
    const holds = new Uint8Array(across * across);
    for (let i = 0; i < filled; i++) {
      const position = order[i] ?? 0;
      holds[Math.floor(Math.floor(position / n) / side) * across + Math.floor((position % n) / side)] = 1;
    }
    for (const child of children) {
      if (holds[(child.y / side) * across + child.x / side]) continue;
      const x = random.range(child.x, child.x + side);
      const y = random.range(child.y, child.y + side);
      order[filled++] = y * n + x;
    }
    blocks = children;
  }
  return order;
}
