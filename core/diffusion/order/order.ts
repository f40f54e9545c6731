/**
 * The orders by name. All but `confidence` are known before the first step, so a step needs logits only where it
 * reveals.
 *
 * @module
 */
import { haltonOrder } from "./halton.ts";
import { randomOrder } from "./random.ts";
import { stratifiedOrder } from "./stratified.ts";

export const ORDERS = ["stratified", "halton", "random", "confidence"] as const;
export type OrderName = (typeof ORDERS)[number];

/**
 * The whole order of an n x n grid, or undefined where the data decides.
 *
 * @param seed the run's; only `random` looks at it
 * @throws {UnmaskError} `order_needs_power_of_two`
 */
export function fixedOrder(name: OrderName, n: number, seed: number): Uint32Array | undefined {
  switch (name) {
    case "stratified":
      return stratifiedOrder(n);
    case "halton":
      return haltonOrder(n);
    case "random":
      return randomOrder(n * n, seed);
    case "confidence":
      return undefined;
  }
}
