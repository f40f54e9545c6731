import { describe, expect, it } from "vitest";
import { heldOut } from "../../../bench/scenes/held_out.ts";
import { type Metadata, parsePrompt, promptOf } from "../../../bench/scenes/prompt.ts";
import { loadWorld } from "../../../bench/scenes/world.ts";

const { data } = await loadWorld();
const known = new Set(data.classes.map(({ name }) => name));
const records: Metadata[] = (await Deno.readTextFile(
  new URL("../../../bench/geneval/evaluation_metadata.jsonl", import.meta.url),
)).trim().split("\n").map((line) => JSON.parse(line));
const usable = records.filter(({ include }) => include.every(({ class: name }) => known.has(name)));

describe("GenEval's grammar", () => {
  it("is written as GenEval writes it", () => {
    expect(usable).toHaveLength(231);
    for (const record of usable) expect(promptOf(data, record)).toBe(record.prompt);
  });

  it("is read as GenEval means it", () => {
    for (const record of usable) expect(parsePrompt(data, record.prompt)).toEqual(record);
  });

  it.each([
    "a picture of a dog",
    "a photo of a unicorn",
    "a photo of five dogs",
    "a photo of an dog",
    "a photo of a dog near a cat",
    "a photo of a dog and a dog and a dog",
    "a photo of a mauve dog",
    "",
  ])("refuses %j", (prompt) => {
    expect(() => parsePrompt(data, prompt)).toThrow(expect.objectContaining({ code: "prompt_not_understood" }));
  });
});

describe("held-out combinations", () => {
  const held = heldOut(data);

  it("are needed by all of GenEval's prompts with two classes or a lone colour, and by no other", () => {
    for (const record of usable) {
      expect(held.needs(record), record.prompt).toBe(!["single_object", "counting"].includes(record.tag));
    }
  });

  it("know pairs in either order, and colours only with their class", () => {
    expect([held.isPair("apple", "tv"), held.isPair("tv", "apple"), held.isPair("tv", "tv")]).toEqual([
      true,
      true,
      false,
    ]);
    expect([held.isColor("apple", "red"), held.isColor("apple", "blue")]).toEqual([true, false]);
    expect(held.pairs.flat().every((name) => known.has(name))).toBe(true);
  });
});
