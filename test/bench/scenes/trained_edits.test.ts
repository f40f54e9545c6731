/** Edits as training draws them (training/world/edits.py), held to what the evaluation asks of its own. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EDIT_KINDS } from "../../../bench/scenes/edits.ts";
import { cornersOf } from "../../../bench/scenes/expressions.ts";
import { centerOf } from "../../../bench/scenes/layout.ts";
import { relations } from "../../../bench/scenes/relations.ts";
import { loadWorld, type Scene, type Thing } from "../../../bench/scenes/world.ts";
import { follow } from "./follow.ts";
import { needs, wellFormed } from "./held.ts";

type Numbers = [ground: number, things: [number, number, number, number, number][]];
type Row = [kind: string, instruction: string, source: Numbers, target: Numbers];

const world = await loadWorld();
const rows: Row[] = JSON.parse(readFileSync(new URL("../../fixtures/edits.json", import.meta.url), "utf8"));
const sceneOf = ([ground, things]: Numbers): Scene => ({
  ground,
  things: things.map(([cls, color, size, x, y]) => ({ cls, color, size, x, y })),
});
const edits = rows.map(([kind, instruction, source, target]) => ({
  kind,
  instruction,
  source: sceneOf(source),
  target: sceneOf(target),
}));

/** The thing that an edit of one thing in its place changed, before and after. */
function changed({ source, target }: { source: Scene; target: Scene }): readonly [Thing, Thing] {
  const at = source.things.findIndex((thing, i) => JSON.stringify(thing) !== JSON.stringify(target.things[i]));
  const [was, is] = [source.things[at], target.things[at]];
  if (was === undefined || is === undefined) throw new Error("nothing changed");
  return [was, is];
}

describe("edits of training", () => {
  it("are of every kind", () => {
    expect([...new Set(edits.map(({ kind }) => kind))]).toEqual([...EDIT_KINDS]);
  });

  it("have a target that follows the instruction, by its words", () => {
    for (const { source, instruction, target } of edits) {
      expect(follow(world, source, instruction, target), instruction).toBe("");
    }
  });

  it("lead from a scene to a scene, and show no combination that is held out", () => {
    for (const { source, instruction, target } of edits) {
      wellFormed(world, source);
      wellFormed(world, target);
      expect(needs(world, source, instruction) || needs(world, target, instruction), instruction).toBe(false);
      const names = [...source.things, ...target.things].map(({ cls }) => cls);
      expect(needs(world, { ground: 0, things: names.map((cls) => ({ cls, color: 0, size: 64, x: 0, y: 0 })) })).toBe(
        false,
      );
    }
  });

  it("move a thing away from its old place, to the side", () => {
    const away = { left: "left of", right: "right of", top: "above", bottom: "below" };
    for (const edit of edits.filter(({ kind }) => kind === "move")) {
      const [was, is] = changed(edit);
      const side = edit.instruction.split(" ").at(-1) as keyof typeof away;
      expect(relations(is, was), edit.instruction).toContain(away[side]);
    }
  });

  it("resize a thing around a centre, and replace one in its place", () => {
    for (const edit of edits.filter(({ kind }) => kind === "resize")) {
      const [small, large] = changed(edit).toSorted((a, b) => a.size - b.size);
      if (small === undefined || large === undefined) throw new Error("no sizes");
      const [x, y] = centerOf(small), [left, top, right, bottom] = cornersOf(large);
      expect(x > left && x < right && y > top && y < bottom, edit.instruction).toBe(true);
    }
    for (const edit of edits.filter(({ kind }) => kind === "replace")) {
      const [was, is] = changed(edit);
      expect(cornersOf(is)).toEqual(cornersOf(was));
    }
  });
});
