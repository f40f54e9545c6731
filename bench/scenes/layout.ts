/**
 * Where things of a scene stand: on the grid, inside the canvas, apart from each other.
 *
 * @module
 */
import type { Chooser } from "./random.ts";
import type { Thing, World } from "./world.ts";

/** Corner and side of a square, in pixels. */
export type Box = Pick<Thing, "x" | "y" | "size">;

/** Things of a prompt. Three or more are small; those that are counted are of one size. */
export function drawSizes(choose: Chooser, count: number, equal: boolean): number[] {
  if (count > 2) return Array.from({ length: count }, () => 64);
  const draw = () => choose.below(100) < (equal ? 65 : 50) ? 64 : 128;
  const first = draw();
  return Array.from({ length: count }, (_, i) => i === 0 || equal ? first : draw());
}

/** Boxes of those sizes on the grid, beside `taken` and each other; undefined when a draw did not fit. */
export function place(
  world: World,
  choose: Chooser,
  sizes: readonly number[],
  taken: readonly Box[] = [],
): Box[] | undefined {
  const { canvas, grid } = world.data;
  const boxes = [...taken];
  for (const size of sizes) {
    const cells = (canvas - size) / grid + 1;
    let box: Box | undefined;
    for (let attempt = 0; attempt < 20 && box === undefined; attempt++) {
      const drawn = { size, x: choose.below(cells) * grid, y: choose.below(cells) * grid };
      if (!boxes.some((other) => overlap(drawn, other))) box = drawn;
    }
    if (box === undefined) return undefined;
    boxes.push(box);
  }
  return boxes.slice(taken.length);
}

/** Every box of that size on the grid that is free of `taken`. */
export function freeBoxes({ data: { canvas, grid } }: World, size: number, taken: readonly Box[]): Box[] {
  const steps = Array.from({ length: (canvas - size) / grid + 1 }, (_, i) => i * grid);
  return steps.flatMap((y) => steps.map((x) => ({ x, y, size })))
    .filter((box) => !taken.some((other) => overlap(box, other)));
}

export function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.size && b.x < a.x + a.size && a.y < b.y + b.size && b.y < a.y + a.size;
}

export function centerOf({ x, y, size }: Box): readonly [x: number, y: number] {
  return [x + size / 2, y + size / 2];
}

/** 0, 1, 2: in which third of the canvas a coordinate lies; on a border it is the middle one. */
export function thirdOf(at: number, canvas: number): 0 | 1 | 2 {
  return 3 * at < canvas ? 0 : 3 * at > 2 * canvas ? 2 : 1;
}
