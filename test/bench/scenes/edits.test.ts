import { describe, expect, it } from "vitest";
import { type Split, SPLITS } from "../../../bench/scenes/combinations.ts";
import { judgeEdit } from "../../../bench/scenes/edit_score.ts";
import { createEdits, EDIT_KINDS, type EditCase } from "../../../bench/scenes/edits.ts";
import { cornersOf } from "../../../bench/scenes/expressions.ts";
import { createJudge } from "../../../bench/scenes/judge.ts";
import { render } from "../../../bench/scenes/render.ts";
import { loadWorld, type Scene, type Thing } from "../../../bench/scenes/world.ts";
import { follow } from "./follow.ts";
import { needs, wellFormed } from "./held.ts";
import { distort } from "./pictures.ts";

const world = await loadWorld();
const { see } = createJudge(world);

function many(seed: number, split: Split, each = 40): EditCase[] {
  const edit = createEdits(world, seed);
  return EDIT_KINDS.flatMap((kind) => Array.from({ length: each }, () => edit(kind, split)));
}

const shown = ({ source, instruction, target }: EditCase) => ({ source, instruction, target });
const judge = (edit: EditCase, scene: Scene) => judgeEdit(world, see, render(world, scene), edit);

describe("edits", () => {
  it("are a function of their seed", () => {
    expect(many(3, "seen", 2).map(shown)).toEqual(many(3, "seen", 2).map(shown));
    expect(many(3, "seen", 2).map(shown)).not.toEqual(many(4, "seen", 2).map(shown));
  });

  it.each(SPLITS)("have a target that follows the instruction, by its words (%s)", (split) => {
    for (const { kind, source, instruction, target } of many(1, split, 100)) {
      expect(follow(world, source, instruction, target), `${kind}: ${instruction}`).toBe("");
    }
  });

  it.each(SPLITS)("lead from a scene to a scene (%s)", (split) => {
    for (const { source, target } of many(2, split)) {
      wellFormed(world, source);
      wellFormed(world, target);
    }
  });

  it("need a held-out combination exactly when they are held out", () => {
    const need = ({ source, target, instruction }: EditCase) =>
      needs(world, source, instruction) || needs(world, target, instruction);
    expect(many(5, "seen").filter(need).map(shown)).toEqual([]);
    expect(many(5, "held_out").filter((edit) => !need(edit)).map(shown)).toEqual([]);
  });

  it("change nothing outside their region", () => {
    for (const { source, target, region } of many(6, "seen", 10)) {
      expect(region === null).toBe(source.ground !== target.ground);
      const inside = (thing: Thing) => region?.some((box) => box.join() === cornersOf(thing).join());
      const differs = (a: readonly Thing[], b: readonly Thing[]) =>
        a.filter((thing) => !b.some((other) => JSON.stringify(other) === JSON.stringify(thing)));
      for (const thing of differs(source.things, target.things)) expect(inside(thing)).toBe(true);
      for (const thing of differs(target.things, source.things)) expect(inside(thing)).toBe(true);
      expect(region?.length ?? 1).toBeGreaterThan(0);
    }
  });
});

describe("the judge of edits", () => {
  const some = many(8, "seen", 2);

  it("passes every true target, also through distortion", () => {
    for (const edit of some) expect(judge(edit, edit.target), edit.instruction).toMatchObject({ success: true });
    const every = some.filter((_, i) => i % 5 === 0);
    const through = every.filter((edit, i) =>
      judgeEdit(world, see, distort(render(world, edit.target), i), edit).success
    );
    expect(through.length).toBeGreaterThanOrEqual(every.length);
  });

  it("fails a source that nobody edited: nothing else changed, but what was asked did not", () => {
    for (const edit of some) {
      expect(judge(edit, edit.source), edit.instruction).toMatchObject({ success: false, asked: false, kept: true });
    }
  });

  it("fails a target with other damage, and says that the asked change is there", () => {
    for (const edit of some.filter(({ wanted }) => wanted.some(({ changed }) => !changed))) {
      const at = edit.target.things.findIndex((thing) => edit.wanted.some((own) => !own.changed && own.fits(thing)));
      const lost = { ...edit.target, things: edit.target.things.filter((_, i) => i !== at) };
      expect(judge(edit, lost), edit.instruction).toMatchObject({ success: false, asked: true, kept: false });
      const tinted = edit.target.things.map((thing, i) =>
        i === at ? { ...thing, color: thing.color === 1 ? 5 : 1 } : thing
      );
      expect(judge(edit, { ...edit.target, things: tinted })).toMatchObject({ success: false, kept: false });
    }
  });

  it("fails another ground than the one that is asked for, or that was there", () => {
    for (const edit of some) {
      const other = (edit.target.ground + 1) % 6;
      const verdict = judge(edit, { ...edit.target, ground: other });
      expect(verdict.success).toBe(false);
      expect(verdict[edit.kind === "ground" ? "asked" : "kept"]).toBe(false);
    }
  });

  it("fails the right thing in the wrong place, colour or size", () => {
    for (const edit of some.filter(({ kind }) => ["move", "resize", "recolor", "replace"].includes(kind))) {
      const at = edit.target.things.findIndex((thing) => edit.wanted.some((own) => own.changed && own.fits(thing)));
      const color = (thing: Thing) => ({ ...thing, color: (thing.color + 3) % 11 });
      const things = edit.target.things.map((thing, i) => i === at ? color(thing) : thing);
      expect(judge(edit, { ...edit.target, things }), edit.instruction).toMatchObject({ success: false, asked: false });
    }
  });

  it("fails one edit of two", () => {
    for (const edit of some.filter(({ kind }) => kind === "two")) {
      const kept = edit.source.things.find((thing) =>
        !edit.target.things.some((own) => own.cls === thing.cls && JSON.stringify(own) === JSON.stringify(thing))
      );
      if (kept === undefined) continue;
      const half = [...edit.target.things.filter(({ cls }) => cls !== kept.cls), kept];
      expect(judge(edit, { ...edit.target, things: half }).success, edit.instruction).toBe(false);
    }
  });

  it("does not mind fragments that are few, and fails for many", () => {
    const [edit] = some;
    if (edit === undefined) throw new Error("no edit");
    const picture = render(world, edit.target);
    const sight = see(picture);
    const with_ = (unexplained: number) => judgeEdit(world, () => ({ ...sight, unexplained }), picture, edit).success;
    expect([with_(6), with_(7)]).toEqual([true, false]);
  });
});
