import { describe, expect, it } from "vitest";
import type { Detection } from "../../../bench/scenes/detect.ts";
import { parsePrompt } from "../../../bench/scenes/prompt.ts";
import { judgeSight, summarise } from "../../../bench/scenes/score.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";

const world = await loadWorld();
const { data } = world;

/** "blue dog" as a detection; without a colour the icon's own. */
function seen(name: string, x = 0, y = 0, more: Partial<Detection> = {}): Detection {
  const color = data.colors.findIndex((candidate) => name.startsWith(`${candidate.name} `));
  const bare = color < 0 ? name : name.slice((data.colors[color]?.name.length ?? 0) + 1);
  const cls = data.classes.findIndex((candidate) => candidate.name === bare);
  return { cls, color: color + 1, size: 64, x, y, error: 1, ring: 0, flaws: 0, ...more };
}

const verdict = (prompt: string, detections: readonly Detection[], unexplained = 0) => {
  const { correct, strict } = judgeSight(world, { detections, unexplained }, parsePrompt(data, `a photo of ${prompt}`));
  return [correct, strict];
};

describe("GenEval's rules and the strict score", () => {
  it.each<[string, string, readonly Detection[], [boolean, boolean]]>([
    ["the object", "a dog", [seen("dog")], [true, true]],
    ["the object in any colour", "a dog", [seen("pink dog")], [true, true]],
    ["another class", "a dog", [seen("cup")], [false, false]],
    ["nothing", "a dog", [], [false, false]],
    ["a second one", "a dog", [seen("dog"), seen("dog", 128)], [true, false]],
    ["something else besides", "a dog", [seen("dog"), seen("cup", 128)], [true, false]],
    ["enough of them", "two dogs", [seen("dog"), seen("dog", 128)], [true, true]],
    ["too few", "two dogs", [seen("dog")], [false, false]],
    ["too many to count", "two dogs", [seen("dog"), seen("dog", 128), seen("dog", 0, 128)], [false, false]],
    ["the colour", "a blue dog", [seen("blue dog")], [true, true]],
    ["the icon's own colours", "a blue dog", [seen("dog")], [false, false]],
    ["another colour", "a blue dog", [seen("red dog")], [false, false]],
    ["both colours", "a blue dog and a red cup", [seen("blue dog"), seen("red cup", 128)], [true, true]],
    ["colours exchanged", "a blue dog and a red cup", [seen("red dog"), seen("blue cup", 128)], [false, false]],
    ["the relation", "a dog left of a cup", [seen("dog"), seen("cup", 128)], [true, true]],
    ["the relation reversed", "a dog left of a cup", [seen("cup"), seen("dog", 128)], [false, false]],
    ["no target", "a dog left of a cup", [seen("dog")], [false, false]],
  ])("%s for %s", (_, prompt, detections, expected) => expect(verdict(prompt, detections)).toEqual(expected));

  it("look at the most certain object first", () => {
    const sure = seen("red dog", 0, 0, { error: 1 }), unsure = seen("blue dog", 128, 0, { error: 2 });
    expect(verdict("a blue dog", [unsure, sure])).toEqual([false, false]);
    expect(verdict("a red dog", [unsure, sure])).toEqual([true, false]);
  });

  it("forgive fragments and flaws only when not strict", () => {
    expect(verdict("a dog", [seen("dog")], 6)).toEqual([true, true]);
    expect(verdict("a dog", [seen("dog")], 7)).toEqual([true, false]);
    expect(verdict("a dog", [seen("dog", 0, 0, { flaws: 0.15 })])).toEqual([true, false]);
  });

  it("say what is wrong", () => {
    const reason = (prompt: string, detections: readonly Detection[]) =>
      judgeSight(world, { detections, unexplained: 0 }, parsePrompt(data, `a photo of ${prompt}`)).reason;
    expect(reason("two dogs", [seen("dog")])).toBe("expected dog x 2, found 1");
    expect(reason("a blue dog", [seen("red dog")])).toBe("expected blue dog, found it in red");
    expect(reason("a dog left of a cup", [seen("cup"), seen("dog", 128)])).toBe("dog is not left of the target");
    expect(reason("a dog", [seen("dog")])).toBe("");
  });
});

describe("the summary", () => {
  const right = { correct: true, strict: true, reason: "" }, loose = { ...right, strict: false };
  const wrong = { ...loose, correct: false };

  it("weighs kinds, not pictures", () => {
    const judged = [
      { tag: "colors", verdict: right } as const,
      { tag: "colors", verdict: loose } as const,
      { tag: "colors", verdict: wrong } as const,
      { tag: "colors", verdict: wrong } as const,
      { tag: "position", verdict: right } as const,
    ];
    expect(summarise(judged)).toEqual({
      mean: 0.75,
      kinds: { colors: 0.5, position: 1 },
      strict: 0.625,
      strict_kinds: { colors: 0.25, position: 1 },
      n: 5,
    });
  });
});
