import { describe, expect, it } from "vitest";
import { type Split, SPLITS } from "../../../bench/scenes/combinations.ts";
import { cornersOf, createExpressions, EXPRESSION_KINDS, iou, isFound } from "../../../bench/scenes/expressions.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { needs, wellFormed } from "./held.ts";
import { teller } from "./truth.ts";

const world = await loadWorld();
const truth = teller(world);

const many = (seed: number, split: Split, n = 120) => {
  const sought = createExpressions(world, seed);
  return Array.from({ length: n }, () => sought(split));
};

describe("expressions", () => {
  it("are a function of their seed", () => {
    expect(many(3, "seen", 5)).toEqual(many(3, "seen", 5));
    expect(many(3, "seen", 5)).not.toEqual(many(4, "seen", 5));
  });

  it.each(SPLITS)("mean one thing of the scene, or none (%s)", (split) => {
    for (const { scene, expressions } of many(1, split)) {
      wellFormed(world, scene);
      for (const { kind, text, box } of expressions) {
        const meant = truth.point(scene, text);
        expect(meant === undefined ? null : cornersOf(meant), text).toEqual(box);
        expect(kind === "absent", text).toBe(box === null);
      }
    }
  });

  it.each(SPLITS)("are eight of a scene or nearly so, none twice, of all kinds (%s)", (split) => {
    const all = many(2, split).map(({ expressions }) => expressions);
    for (const expressions of all) {
      expect(expressions.length).toBeLessThanOrEqual(8);
      expect(new Set(expressions.map(({ text }) => text)).size).toBe(expressions.length);
    }
    expect(all.flat().length).toBeGreaterThan(0.95 * 8 * all.length);
    for (const kind of EXPRESSION_KINDS) {
      expect(all.flat().filter((expression) => expression.kind === kind).length).toBeGreaterThan(0.5 * all.length);
    }
  });

  it("need a held-out combination exactly when they are held out", () => {
    for (const { scene, expressions } of many(5, "seen")) {
      for (const { text } of expressions) expect(needs(world, scene, text), text).toBe(false);
    }
    for (const { scene, expressions } of many(5, "held_out")) {
      expect(needs(world, scene)).toBe(true);
      for (const { kind, text } of expressions) {
        if (kind === "color") expect(needs(world, { ...scene, things: [] }, text), text).toBe(true);
      }
    }
  });
});

describe("a box", () => {
  const box = [64, 64, 128, 128] as const;
  it.each(
    [
      [[64, 64, 128, 128], 1],
      [[64, 64, 128, 96], 0.5],
      [[96, 64, 160, 128], 1 / 3],
      [[0, 0, 64, 64], 0],
      [[0, 0, 0, 0], 0],
    ] as const,
  )("%j overlaps by %d", (other, share) => expect(iou(box, other)).toBeCloseTo(share, 9));

  it("is right at the overlap that is asked for, and never by saying that nothing is there", () => {
    const at = (...xyxy: readonly [number, number, number, number]) => ({ found: true, xyxy } as const);
    expect(isFound(at(64, 64, 128, 120), { box }, 0.8)).toBe(true);
    expect(isFound(at(64, 64, 128, 110), { box }, 0.8)).toBe(false);
    expect(isFound(at(64, 64, 128, 110), { box }, 0.5)).toBe(true);
    expect(isFound({ found: false }, { box }, 0)).toBe(false);
  });

  it("of nothing is right when nothing is said to be there, and no other box is", () => {
    expect(isFound({ found: false }, { box: null }, 0.5)).toBe(true);
    expect(isFound({ found: true, xyxy: [0, 0, 0, 0] }, { box: null }, 0)).toBe(false);
  });
});
