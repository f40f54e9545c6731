import { describe, expect, it } from "vitest";
import { SPLITS } from "../../../bench/scenes/combinations.ts";
import { createGenerator } from "../../../bench/scenes/generate.ts";
import { judgePlan, type PlannedThing, planOf } from "../../../bench/scenes/plans.ts";
import { KINDS, parsePrompt } from "../../../bench/scenes/prompt.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";

const world = await loadWorld();

const thing = (label: string, left: number, top: number, right = left + 64, bottom = top + 64): PlannedThing => ({
  label,
  xyxy: [left, top, right, bottom],
});

const verdict = (prompt: string, boxes: readonly PlannedThing[], malformed: readonly string[] = []) =>
  judgePlan(world, { boxes, malformed }, parsePrompt(world.data, `a photo of ${prompt}`));

describe("a plan", () => {
  it.each(SPLITS)("of a true scene is valid (%s)", (split) => {
    const generator = createGenerator(world, 1);
    for (let i = 0; i < 120; i++) {
      const metadata = generator.metadata(KINDS[i % 6] ?? "colors", split);
      const boxes = planOf(world, metadata, generator.scene(metadata));
      expect(judgePlan(world, { boxes, malformed: [] }, metadata), metadata.prompt).toEqual({
        valid: true,
        reason: "",
      });
    }
  });

  it("names things in the order of the prompt", () => {
    const generator = createGenerator(world, 2);
    for (const kind of ["position", "two_object", "color_attr"] as const) {
      const metadata = generator.metadata(kind, "seen");
      const [first, second] = planOf(world, metadata, generator.scene(metadata));
      expect(metadata.prompt.indexOf(`${first?.label}`)).toBeLessThan(metadata.prompt.lastIndexOf(`${second?.label}`));
    }
  });

  it.each<[string, string, readonly PlannedThing[], boolean]>([
    ["the thing", "a dog", [thing("dog", 0, 0)], true],
    ["a box of any size", "a dog", [thing("dog", 3, 5, 200, 90)], true],
    ["another class", "a dog", [thing("cup", 0, 0)], false],
    ["no class of the world", "a dog", [thing("unicorn", 0, 0)], false],
    ["an article", "a dog", [thing("a dog", 0, 0)], false],
    ["nothing", "a dog", [], false],
    ["one more", "a dog", [thing("dog", 0, 0), thing("dog", 128, 0)], false],
    ["one less", "two dogs", [thing("dog", 0, 0)], false],
    ["the colour", "a red dog", [thing("red dog", 0, 0)], true],
    ["no colour", "a red dog", [thing("dog", 0, 0)], false],
    ["colours exchanged", "a red dog and a blue cup", [thing("blue dog", 0, 0), thing("red cup", 128, 0)], false],
    ["the relation", "a dog left of a cup", [thing("dog", 0, 0), thing("cup", 128, 0)], true],
    ["the relation of boxes that are no squares", "a dog left of a cup", [
      thing("dog", 0, 0, 20, 256),
      thing("cup", 128, 96, 256, 160),
    ], true],
    ["the relation reversed", "a dog left of a cup", [thing("cup", 0, 0), thing("dog", 128, 0)], false],
    ["an empty box", "a dog", [thing("dog", 64, 64, 64, 128)], false],
    ["a box that leaves the canvas", "a dog", [thing("dog", 224, 0)], false],
    ["boxes that touch", "two dogs", [thing("dog", 0, 0), thing("dog", 64, 0)], true],
    ["boxes that overlap by a rounding", "two dogs", [thing("dog", 0, 0), thing("dog", 63, 0)], true],
    ["boxes that overlap", "two dogs", [thing("dog", 0, 0), thing("dog", 48, 0)], false],
  ])("with %s for %s", (_, prompt, boxes, valid) => {
    const found = verdict(prompt, boxes);
    expect(found.valid, found.reason).toBe(valid);
    expect(found.reason === "").toBe(valid);
  });

  it("with a piece that is no object is none, whatever else is right", () => {
    expect(verdict("a dog", [thing("dog", 0, 0)], ["<box_p> dog"]).valid).toBe(false);
  });
});
