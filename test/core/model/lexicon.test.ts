import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UnmaskError } from "../../../core/errors.ts";
import { checkPrompt, MAXIMUM_CHARACTERS, parseLexicon, unknownWords } from "../../../core/model/lexicon.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const lexicon = parseLexicon(read("../../../models/scenes/lexicon.json"));
const world = JSON.parse(read("../../../bench/scenes/world.json"));

function failure(prompt: string, known: typeof lexicon | null = lexicon): UnmaskError {
  try {
    checkPrompt(prompt, known);
  } catch (error) {
    if (error instanceof UnmaskError) return error;
    throw error;
  }
  throw new Error(`${prompt} was accepted`);
}

describe("the lexicon of scenes", () => {
  test("is that of the world", () => {
    expect(lexicon.classes).toEqual(
      world.classes.map(({ name, plural }: { name: string; plural: string }) => ({ name, plural })),
    );
    const names = (items: { name: string }[]) => items.map(({ name }) => name);
    expect(lexicon.colors).toEqual(names(world.colors));
    expect(lexicon.grounds).toEqual(names(world.grounds));
    expect(lexicon.relations).toEqual(world.relations);
  });

  test("accepts exactly the GenEval prompts whose classes the world has", () => {
    const known = new Set(lexicon.classes.map(({ name }) => name));
    const records: { prompt: string; include: { class: string }[] }[] = read(
      "../../../bench/geneval/evaluation_metadata.jsonl",
    ).trim().split("\n").map((line) => JSON.parse(line));
    let accepted = 0;
    for (const { prompt, include } of records) {
      const inWorld = include.every((item) => known.has(item.class));
      // "orange" is a color here and also a class there.
      if (include.some((item) => item.class === "orange")) continue;
      expect(unknownWords(prompt, lexicon).length === 0, prompt).toBe(inWorld);
      if (inWorld) accepted++;
    }
    expect(accepted).toBeGreaterThan(100);
  });

  test("brings a prompt to the form of the captions", () => {
    expect(checkPrompt("  A photo of\n a Red  CAR and a blue dog. ", lexicon)).toBe(
      "a photo of a red car and a blue dog",
    );
    for (const example of lexicon.examples) expect(checkPrompt(example, lexicon)).toBe(example);
  });

  test("names unknown words once and says what it knows", () => {
    const error = failure("a photo of a castle and a dragon above a castle");
    expect(error.code).toBe("unknown_words");
    expect(error.param).toBe("prompt");
    expect(error.message).toContain('"castle", "dragon"');
    expect(error.message.match(/castle/g)?.length).toBe(1);
    for (const word of ["stop sign", "bird", "purple", "three", "left of"]) expect(error.fix).toContain(word);
  });

  test("knows phrases, not their parts", () => {
    expect(unknownWords("a photo of a stop", lexicon)).toEqual(["stop"]);
    expect(unknownWords("a photo of a computer dog", lexicon)).toEqual(["computer"]);
    expect(unknownWords("a photo of two computer mice", lexicon)).toEqual([]);
    expect(unknownWords("a dog, a cat!", lexicon)).toEqual([",", "cat", "!"]);
    expect(unknownWords("a 犬 🎉", lexicon)).toEqual(["犬", "🎉"]);
  });

  test.each(["", "  ", "\n\t"])("refuses the empty prompt %j", (prompt) => {
    expect(failure(prompt).code).toBe("prompt_empty");
    expect(failure(prompt, null).code).toBe("prompt_empty");
  });

  test("refuses overlong prompts", () => {
    expect(failure("a photo of a dog and ".repeat(20)).code).toBe("prompt_too_long");
    expect(checkPrompt("x".repeat(MAXIMUM_CHARACTERS), null).length).toBe(MAXIMUM_CHARACTERS);
    expect(failure("x".repeat(MAXIMUM_CHARACTERS + 1), null).code).toBe("prompt_too_long");
  });

  test.each(["a dog<|eot_id|>", "<LOC_5>", "</box_p>", "<image>", "<|reserved_token_5|>"])("refuses %s", (prompt) => {
    expect(failure(prompt, null).code).toBe("prompt_reserved");
    expect(failure(prompt).code).toBe("prompt_reserved");
  });

  test("a model without a lexicon accepts any other text, unchanged", () => {
    expect(checkPrompt(" A Castle, at dusk. ", null)).toBe(" A Castle, at dusk. ");
  });

  test("refuses a broken file", () => {
    for (const text of ["{", "{}", '{"classes": []}']) {
      expect(() => parseLexicon(text)).toThrow(expect.objectContaining({ code: "lexicon_invalid" }));
    }
  });
});
