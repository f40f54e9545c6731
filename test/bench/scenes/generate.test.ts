import { describe, expect, it } from "vitest";
import { createGenerator } from "../../../bench/scenes/generate.ts";
import { heldOut } from "../../../bench/scenes/held_out.ts";
import { faultsOf, nearMiss } from "../../../bench/scenes/near_miss.ts";
import { KINDS, parsePrompt } from "../../../bench/scenes/prompt.ts";
import { relations } from "../../../bench/scenes/relations.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";

const world = await loadWorld();
const held = heldOut(world.data);

const many = (seed: number, split: "seen" | "held_out") => {
  const generator = createGenerator(world, seed);
  return Array.from({ length: 600 }, (_, i) => {
    const metadata = generator.metadata(KINDS[i % 6] ?? "colors", split);
    return { metadata, scene: generator.scene(metadata) };
  });
};

describe("the generator", () => {
  it("is a function of its seed", () => {
    expect(many(3, "seen")).toEqual(many(3, "seen"));
    expect(many(3, "seen")).not.toEqual(many(4, "seen"));
    expect(many(3, "seen")).not.toEqual(many(3 + 2 ** 32, "seen"));
  });

  it("keeps to the split", () => {
    expect(many(1, "seen").filter(({ metadata }) => held.needs(metadata))).toEqual([]);
    for (const { metadata } of many(1, "held_out")) {
      expect(held.needs(metadata)).toBe(!["single_object", "counting"].includes(metadata.tag));
    }
  });

  it("writes prompts that read back as their metadata", () => {
    for (const { metadata } of many(2, "held_out")) expect(parsePrompt(world.data, metadata.prompt)).toEqual(metadata);
  });

  it("places what the prompt names on the grid, apart and inside", () => {
    for (const { metadata, scene } of many(5, "seen")) {
      const names = scene.things.map(({ cls }) => world.data.classes[cls]?.name).sort();
      expect(names).toEqual(metadata.include.flatMap(({ class: name, count }) => Array(count).fill(name)).sort());
      for (const [i, a] of scene.things.entries()) {
        expect([a.x % 32, a.y % 32]).toEqual([0, 0]);
        expect(Math.max(a.x, a.y) + a.size).toBeLessThanOrEqual(256);
        for (const b of scene.things.slice(i + 1)) {
          const apart = a.x + a.size <= b.x || b.x + b.size <= a.x || a.y + a.size <= b.y || b.y + b.size <= a.y;
          expect(apart).toBe(true);
        }
      }
    }
  });

  it("holds named relations, colours, and only those", () => {
    for (const { metadata: { include }, scene } of many(6, "seen")) {
      const [a, b] = scene.things;
      const position = include[1]?.position;
      if (position !== undefined && a !== undefined && b !== undefined) expect(relations(b, a)).toContain(position[0]);
      for (const [i, { color, count }] of include.entries()) {
        const found = world.data.colors[(scene.things[i]?.color ?? 0) - 1]?.name;
        if (count === 1) expect(found).toBe(color);
      }
    }
  });

  it("uses every class, colour, size, ground and relation", () => {
    const all = many(7, "seen");
    const things = all.flatMap(({ scene }) => scene.things);
    const count = <T>(values: readonly T[]) => new Set(values).size;
    expect(count(things.map(({ cls }) => cls))).toBe(40);
    expect(count(things.map(({ color }) => color))).toBe(11);
    expect(count(things.map(({ size }) => size))).toBe(2);
    expect(count(all.map(({ scene }) => scene.ground))).toBe(6);
    expect(count(all.flatMap(({ metadata }) => metadata.include.flatMap(({ position }) => position?.[0] ?? [])))).toBe(
      4,
    );
  });
});

describe("near misses", () => {
  it("are offered where the prompt names what can be wrong", () => {
    const faults = (prompt: string) => faultsOf(parsePrompt(world.data, prompt));
    expect(faults("a photo of a dog")).toEqual(["class", "count"]);
    expect(faults("a photo of a blue dog")).toEqual(["class", "color", "count"]);
    expect(faults("a photo of a dog below a cup")).toEqual(["class", "count", "relation"]);
  });

  it.each(["class", "color", "count"] as const)("of %s change one thing", (fault) => {
    const generator = createGenerator(world, 9),
      metadata = parsePrompt(world.data, "a photo of a red dog and a blue cup");
    const key = ({ cls, color }: { cls: number; color: number }) => `${cls}/${color}`;
    for (let i = 0; i < 50; i++) {
      const before = generator.scene(metadata).things.map(key),
        after = nearMiss(world, generator, metadata, fault).things;
      const kept = before.filter((thing) => after.map(key).includes(thing)).length;
      expect([after.length, kept]).toEqual(
        fault === "count" ? [expect.any(Number), after.length === 1 ? 1 : 2] : [2, 1],
      );
      expect(after.length === 2).toBe(fault !== "count");
    }
  });
});

describe("relations", () => {
  const box = (x: number, y: number, size = 64) => ({ x, y, size });

  it.each([
    ["far left", box(0, 64), box(128, 64), ["left of"]],
    ["far right", box(128, 64), box(0, 64), ["right of"]],
    ["above", box(64, 0), box(64, 96), ["above"]],
    ["below", box(64, 96), box(64, 0), ["below"]],
    ["on the diagonal", box(0, 0), box(192, 192), ["left of", "above"]],
    ["the same place", box(64, 64), box(64, 64), []],
    // Offset 32, slack 0.1 * 192: 12.8 / 32 is under a half.
    ["hardly left", box(0, 0, 128), box(64, 32), []],
    // Offset 160 and 96, slack 12.8: 0.79 and 0.45 of the distance.
    ["left and a little above", box(0, 0), box(160, 96), ["left of"]],
    ["right and a little below", box(160, 96), box(0, 0), ["right of"]],
    ["above and a little right", box(96, 0), box(0, 160), ["above"]],
    ["below and a little left", box(0, 160), box(96, 0), ["below"]],
    // Offset 32, slack 12.8: 0.6 of the distance.
    ["left by half a box", box(0, 0), box(32, 0), ["left of"]],
  ])("%s", (_, a, b, expected) => expect(relations(a, b)).toEqual(expected));
});
