/** What makes a scene or a sentence one that training never showed; and what makes a scene one at all. */
import { expect } from "vitest";
import { heldOut } from "../../../bench/scenes/held_out.ts";
import type { Scene, World } from "../../../bench/scenes/world.ts";

/** Of the scene, and of what a sentence names in it: classes together, and colours on classes. */
export function needs({ data }: World, { things }: Scene, text = ""): boolean {
  const held = heldOut(data);
  const words = ` ${text.replace(/[?.]$/, "")} `;
  const said = data.classes.filter(({ name, plural }) => words.includes(` ${name} `) || words.includes(` ${plural} `));
  const names = [...things.map(({ cls }) => data.classes[cls]?.name ?? ""), ...said.map(({ name }) => name)];
  const tints = things.map(({ cls, color }) => [data.classes[cls]?.name, data.colors[color - 1]?.name] as const);
  return names.some((a) => names.some((b) => held.isPair(a, b))) ||
    tints.some(([name = "", color = ""]) => held.isColor(name, color)) ||
    data.colors.some((color) =>
      said.some(({ name }) => words.includes(` ${color.name} ${name} `) && held.isColor(name, color.name))
    );
}

/** On the grid, inside, apart, one to four things. */
export function wellFormed({ data: { canvas, grid, max_objects: most } }: World, { things }: Scene, least = 1): void {
  expect(things.length).toBeGreaterThanOrEqual(least);
  expect(things.length).toBeLessThanOrEqual(most);
  for (const [i, a] of things.entries()) {
    expect([a.x % grid, a.y % grid]).toEqual([0, 0]);
    expect(Math.min(a.x, a.y)).toBeGreaterThanOrEqual(0);
    expect(Math.max(a.x, a.y) + a.size).toBeLessThanOrEqual(canvas);
    for (const b of things.slice(i + 1)) {
      const apart = a.x + a.size <= b.x || b.x + b.size <= a.x || a.y + a.size <= b.y || b.y + b.size <= a.y;
      expect(apart).toBe(true);
    }
  }
}
