import { describe, expect, it } from "vitest";
import { type Split, SPLITS } from "../../../bench/scenes/combinations.ts";
import { createQuestions, isRight, type Question, QUESTION_KINDS } from "../../../bench/scenes/questions.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";
import { needs, wellFormed } from "./held.ts";
import { teller } from "./truth.ts";

const world = await loadWorld();
const truth = teller(world);

function many(seed: number, split: Split, each = 60): Question[] {
  const question = createQuestions(world, seed);
  return QUESTION_KINDS.flatMap((kind) => Array.from({ length: each }, () => question(kind, split)));
}

describe("questions", () => {
  it("are a function of their seed", () => {
    expect(many(3, "seen", 5)).toEqual(many(3, "seen", 5));
    expect(many(3, "seen", 5)).not.toEqual(many(4, "seen", 5));
  });

  it.each(SPLITS)("have the answer that whoever knows the scene gives (%s)", (split) => {
    for (const { scene, text, answer } of many(1, split)) expect(truth.answer(scene, text), text).toBe(answer);
  });

  it.each(SPLITS)("are about scenes of one to four things, apart and inside (%s)", (split) => {
    for (const { scene } of many(2, split)) wellFormed(world, scene);
  });

  it("need a held-out combination, in the scene or in the words, exactly when they are held out", () => {
    for (const { scene, text } of many(5, "seen")) expect(needs(world, scene, text), text).toBe(false);
    for (const { scene, text } of many(5, "held_out")) expect(needs(world, scene, text), text).toBe(true);
  });

  it("ask for every answer: about as many yes as no, none as some, every count and place", () => {
    const of = (kind: Question["kind"]) => {
      const question = createQuestions(world, 6);
      return Map.groupBy(Array.from({ length: 400 }, () => question(kind, "seen").answer), (answer) => answer);
    };
    for (const [kind, answer] of [["is_there", "yes"], ["which", "none"]] as const) {
      expect(Math.abs((of(kind).get(answer)?.length ?? 0) - 200)).toBeLessThan(50);
    }
    expect([of("count").size, of("where").size, of("color").size]).toEqual([5, 9, 10]);
  });

  it("show a wrong colour of what is there among the noes", () => {
    const question = createQuestions(world, 7);
    const noes = Array.from({ length: 200 }, () => question("is_there", "seen")).filter(({ answer }) =>
      answer === "no"
    );
    const there = noes.filter(({ scene, text }) =>
      scene.things.some(({ cls }) => text.includes(` ${world.data.classes[cls]?.name} `))
    );
    expect(there.length).toBeGreaterThan(10);
  });
});

describe("an answer", () => {
  it.each([
    ["a red car", true],
    [" a red car.\n", true],
    ["a red car..", false],
    ["A red car", false],
    ["red car", false],
    ["", false],
  ])("%j is right: %s", (answer, right) => expect(isRight(answer, { answer: "a red car" })).toBe(right));
});
