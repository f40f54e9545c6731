import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TOKENS } from "../../../core/model/chat_template.ts";
import { createTokenizer } from "../../../core/model/tokenizer.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const folder = "../../../models/scenes/";
const tokenizer = createTokenizer(read(`${folder}tokenizer.json`), read(`${folder}tokenizer_config.json`));
const fixture: { texts: { text: string; ids: number[] }[] } = JSON.parse(read("../../fixtures/tokenizer.json"));

describe("the tokenizer of scenes", () => {
  test("gives the ids of the Python library", () => {
    expect(fixture.texts.length).toBeGreaterThan(200);
    for (const { text, ids } of fixture.texts) {
      expect(Array.from(tokenizer.encode(text)), JSON.stringify(text)).toEqual(ids);
    }
  });

  test("gets every text back", () => {
    for (const { text, ids } of fixture.texts) expect(tokenizer.decode(ids)).toBe(text);
  });

  test("has the special tokens of the published layout, each one id", () => {
    for (const text of Object.values(TOKENS)) expect(Array.from(tokenizer.encode(text))).toEqual([tokenizer.id(text)]);
    const first = tokenizer.id("<LOC_0>");
    expect(tokenizer.id("<LOC_1024>")).toBe(first + 1024);
    expect(tokenizer.id("<LOC_END>")).toBe(tokenizer.vocabularySize - 1);
    expect(tokenizer.id(TOKENS.beginOfText)).toBe(first - 14);
  });

  test("drops control tokens only when asked, and keeps boxes", () => {
    const ids = tokenizer.encode("<|startoftext|> a dog <box_p><LOC_3><|eot_id|><|endoftext|>");
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe(" a dog <box_p><LOC_3>");
    expect(tokenizer.decode(ids)).toContain("<|eot_id|>");
    expect(tokenizer.decode([])).toBe("");
  });

  test("does not clean up spaces, whatever the config says or lacks", () => {
    const bare = createTokenizer(read(`${folder}tokenizer.json`));
    expect(bare.decode(bare.encode("a , b . do n't"))).toBe("a , b . do n't");
  });

  test("every word of the world is one token", () => {
    const lexicon = JSON.parse(read(`${folder}lexicon.json`));
    const phrases: string[] = [
      ...lexicon.classes.flatMap((item: { name: string; plural: string }) => [item.name, item.plural]),
      ...lexicon.colors,
      ...lexicon.counts,
      ...lexicon.relations,
      ...lexicon.grounds,
    ];
    for (const word of phrases.flatMap((phrase) => phrase.split(" "))) {
      expect(tokenizer.encode(` ${word}`).length, word).toBe(1);
    }
  });

  test("refuses what it does not know", () => {
    expect(() => tokenizer.id("<LOC_1025>")).toThrow(expect.objectContaining({ code: "unknown_token" }));
    expect(() => tokenizer.decode([-200])).toThrow(expect.objectContaining({ code: "token_out_of_range" }));
    expect(() => tokenizer.decode([tokenizer.vocabularySize])).toThrow(
      expect.objectContaining({ code: "token_out_of_range" }),
    );
    expect(() => createTokenizer("{")).toThrow(expect.objectContaining({ code: "tokenizer_invalid" }));
    expect(() => createTokenizer("[]")).toThrow(expect.objectContaining({ code: "tokenizer_invalid" }));
    expect(() => createTokenizer("{}")).toThrow(expect.objectContaining({ code: "tokenizer_invalid" }));
  });
});
