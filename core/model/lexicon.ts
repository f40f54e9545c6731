/**
 * What a small model can know: the words of its training, in `lexicon.json` of its folder. A folder without one belongs to
 * a model that accepts any text.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../errors.ts";

const words = z.array(z.string().min(1));
const schema = z.object({
  classes: z.array(z.object({ name: z.string().min(1), plural: z.string().min(1) })).min(1),
  colors: words,
  counts: words,
  relations: words,
  /** Named by edits, never by drawing prompts, so no prompt is accepted because of them. */
  grounds: words,
  function_words: words,
  examples: words.min(1),
  max_characters: z.int().positive(),
});

export type Lexicon = Readonly<z.infer<typeof schema>>;

/** For models without a lexicon: longer text can't fit the published context of 8192 tokens beside the picture. */
export const MAXIMUM_CHARACTERS = 16_384;

/**
 * @param text of `lexicon.json`
 * @throws UnmaskError `lexicon_invalid`
 */
export function parseLexicon(text: string): Lexicon {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UnmaskError({
      code: "lexicon_invalid",
      message: "lexicon.json of the model folder can't be read",
      fix: "copy it again, or remove it to accept every prompt",
      status: 500,
      cause,
    });
  }
}

/**
 * The prompt as the model is to see it, or an error. With a lexicon: lower case, single spaces, no final full stop, which
 * is how its captions were written. Without one: the text itself.
 *
 * @throws UnmaskError `prompt_empty`, `prompt_too_long`, `prompt_reserved` (text of a control token) or `unknown_words`,
 * whose fix lists what the model knows
 */
export function checkPrompt(prompt: string, lexicon: Lexicon | null): string {
  if (prompt.trim() === "") {
    throw new UnmaskError({
      code: "prompt_empty",
      message: "the prompt is empty",
      fix: `say what to draw${lexicon === null ? "" : `, for example "${lexicon.examples[0]}"`}`,
      param: "prompt",
    });
  }
  const limit = lexicon?.max_characters ?? MAXIMUM_CHARACTERS;
  if (prompt.length > limit) {
    throw new UnmaskError({
      code: "prompt_too_long",
      message: `the prompt has ${prompt.length} characters, more than ${limit}`,
      fix: `use at most ${limit} characters`,
      param: "prompt",
    });
  }
  const reserved = /<\|[^|]*\|>|<LOC_\w+>|<\/?box_p>|<image>/.exec(prompt);
  if (reserved !== null) {
    throw new UnmaskError({
      code: "prompt_reserved",
      message: `the prompt contains ${reserved[0]}, which is a control token of the model`,
      fix: "leave it out",
      param: "prompt",
    });
  }
  if (lexicon === null) return prompt;
  const normal = normalised(prompt);
  const unknown = unknownWords(normal, lexicon);
  if (unknown.length > 0) {
    throw new UnmaskError({
      code: "unknown_words",
      message: `this model does not know ${unknown.map((word) => `"${word}"`).join(", ")}`,
      fix: knownText(lexicon),
      param: "prompt",
    });
  }
  return normal;
}

/** What an edit may change beside things. */
const GROUND_WORDS = ["ground", "background"];

/**
 * The instruction of an edit as the model is to see it. With a lexicon it is normalised as prompts are, and names a thing
 * of the lexicon or the ground; its verbs are no matter of the lexicon.
 *
 * @throws UnmaskError what `checkPrompt` throws of any text; `instruction_without_object`
 */
export function checkInstruction(instruction: string, lexicon: Lexicon | null): string {
  const text = checkPrompt(instruction, null);
  if (lexicon === null) return text;
  const normal = normalised(text);
  const spaced = ` ${normal.replace(/[^\p{L}\p{N}]+/gu, " ")} `;
  const names = [...lexicon.classes.flatMap(({ name, plural }) => [name, plural]), ...GROUND_WORDS];
  if (names.some((name) => spaced.includes(` ${name} `))) return normal;
  throw new UnmaskError({
    code: "instruction_without_object",
    message: "the instruction names nothing that this model knows, so there is nothing to edit",
    fix: `name a thing, such as ${lexicon.classes.slice(0, 5).map(({ name }) => name).join(", ")}, or the ground`,
    param: "instruction",
  });
}

/** The words of an edit's plan: grounds are named there, as they never are by prompts of drawings. */
export function withGrounds(lexicon: Lexicon): Lexicon {
  return { ...lexicon, function_words: [...lexicon.function_words, ...lexicon.grounds, ...GROUND_WORDS] };
}

function normalised(text: string): string {
  return text.toLowerCase().replace(/\s+/g, " ").trim().replace(/ ?\.$/, "");
}

/** Words of a normalised prompt that belong to no phrase of the lexicon, each once; the longest phrase wins. */
export function unknownWords(prompt: string, lexicon: Lexicon): string[] {
  const phrases = new Set([
    ...lexicon.classes.flatMap(({ name, plural }) => [name, plural]),
    ...lexicon.colors,
    ...lexicon.counts,
    ...lexicon.relations,
    ...lexicon.function_words,
  ]);
  const longest = Math.max(...[...phrases].map((phrase) => phrase.split(" ").length));
  const pieces = prompt.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*|[^\s]/gu) ?? [];
  const unknown = new Set<string>();
  for (let at = 0; at < pieces.length;) {
    let length = Math.min(longest, pieces.length - at);
    while (length > 0 && !phrases.has(pieces.slice(at, at + length).join(" "))) length--;
    if (length === 0) unknown.add(pieces[at] ?? "");
    at += Math.max(length, 1);
  }
  return [...unknown];
}

function knownText(lexicon: Lexicon): string {
  return `use its words: things: ${lexicon.classes.map(({ name }) => name).join(", ")}; colors: ${
    lexicon.colors.join(", ")
  }; counts: ${lexicon.counts.join(", ")}; relations: ${lexicon.relations.join(", ")}; for example ${
    lexicon.examples.map((example) => `"${example}"`).join(" or ")
  }`;
}
