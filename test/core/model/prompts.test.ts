import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  ASSISTANT_HEADER,
  chatText,
  concatenate,
  encodeWithImages,
  IMAGE_ID,
  PUBLISHED_QUIRKS,
  TOKENS,
} from "../../../core/model/chat_template.ts";
import {
  answerText,
  drawPrompt,
  editPlanText,
  editPrompt,
  groundListText,
  groundOneText,
  groundPrompt,
  isAccepted,
  judgeText,
  microString,
  planText,
} from "../../../core/model/prompts.ts";
import { boxToLoc, editPlanToText, planToText } from "../../../core/model/boxes.ts";
import { createTokenizer } from "../../../core/model/tokenizer.ts";
import { expand, readSequences } from "../../parity/sequences.ts";
import { standInTokenizer } from "../../../commands/parity/stand_in_tokenizer.ts";

interface PromptCase {
  readonly task: string;
  readonly caption: string;
  readonly micro: string | null;
  readonly user: string;
  readonly assistant: string | null;
  readonly text: string;
  readonly ids: readonly number[];
}

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const published: { cases: PromptCase[] } = JSON.parse(read("../../parity/prompts.json"));
const { cases } = readSequences();
const standIn = standInTokenizer();
const count = (ids: readonly number[], id: number) => ids.filter((other) => other === id).length;

describe("published prompt texts and ids", () => {
  const texts: Record<string, (item: PromptCase) => string> = {
    plan: (item) => planText(item.caption, item.micro ?? ""),
    plan_edit: (item) => editPlanText(item.caption),
    judge: (item) => judgeText(item.caption),
    understanding: () => answerText("What is this?", { image: true }),
    text_only: () => answerText("Hello", { image: false }),
    two_pictures: (item) =>
      chatText([{ role: "user", content: item.user }, { role: "assistant", content: item.assistant ?? "" }]),
  };

  test.each(published.cases)("$task", (item) => {
    const build = texts[item.task];
    expect(build).toBeDefined();
    const text = build?.(item) ?? "";
    expect(text).toBe(item.text);
    const pictures = text.split("<image>").length - 1;
    expect(Array.from(encodeWithImages(text, standIn, new Array<number>(pictures).fill(1)))).toEqual(item.ids);
  });

  test("six tasks are held", () => expect(published.cases.length).toBe(Object.keys(texts).length));
});

describe("whole sequences of the published loops", () => {
  const drawn = cases.filter((item) => item.file === "t2i_loop" || item.file === "t2i_forward");
  test.each(drawn)("$file $case", (item) => {
    const ids = expand(item.ids);
    const targets = count(ids, standIn.id(TOKENS.targetImage));
    const micro = item.file === "t2i_loop"
      ? "ORIGINAL WIDTH : 1024; ORIGINAL HEIGHT : 1024; TOP : 0; LEFT : 0; SCORE : 6.5"
      : microString({ width: 1024, height: 1024, score: 7.11 });
    const { rows, suffixes } = drawPrompt({
      prompt: item.prompt ?? "",
      micro,
      ...(item.plan === undefined ? {} : { plan: item.plan }),
      feedback: (item.feedback_texts ?? []).map((text) => ({ text, imageTokens: count(ids, IMAGE_ID) })),
    }, standIn);
    const image = new Int32Array(targets).fill(standIn.id(TOKENS.targetImage));
    expect(targets).toBeGreaterThan(0);
    expect(Array.from(concatenate([rows[0], image, suffixes[0]]))).toEqual(ids);
    if (item.is_prompt === undefined) return;
    const isPrompt = expand(item.is_prompt);
    const mask = standIn.id(TOKENS.mask);
    const expected = ids.map((id, position) => isPrompt[position] === 1 ? mask : id);
    expect(Array.from(concatenate([rows[1], image, suffixes[1]]))).toEqual(expected);
  });
  test("all cases are held", () => {
    expect(drawn.length).toBe(10);
    expect(cases.length).toBe(18);
  });

  test.each(cases.filter((item) => item.file === "edit_loop"))("edit $case", (item) => {
    const ids = expand(item.ids);
    const targets = count(ids, standIn.id(TOKENS.targetImage));
    const prompt = editPrompt({
      instruction: item.prompt ?? "",
      imageTokens: count(ids, IMAGE_ID),
      sourceTokens: count(ids, standIn.id(TOKENS.sourceImage)),
      mode: item.edit_mode ?? 0,
    }, standIn);
    const image = new Int32Array(targets).fill(standIn.id(TOKENS.targetImage));
    const mask = standIn.id(TOKENS.mask);
    const none = new Int32Array(0);
    (["full", "enc", "un"] as const).forEach((name, row) => {
      const masked = expand(item.masked?.[name] ?? []);
      const got = concatenate([prompt.rows[row] ?? none, image, prompt.suffixes[row] ?? none]);
      expect(Array.from(got), name).toEqual(ids.map((id, position) => masked[position] === 1 ? mask : id));
    });
    // Routing: target tokens everywhere, source tokens except in the unconditional row.
    const branch = expand(item.image_branch?.full ?? []);
    const sources = [...branch.keys()].filter((at) => branch[at] === 1 && at < prompt.rows[0].length);
    expect(Array.from(prompt.sourcePositions)).toEqual(sources);
  });

  test.each(cases.filter((item) => item.file === "grounding"))("grounding $case", (item) => {
    const ids = expand(item.ids);
    const expressions = item.expressions ?? [];
    const text = item.mode === "refcoco" ? groundOneText(expressions[0] ?? "") : groundListText(expressions);
    expect(text).toBe(item.text);
    const prompt = groundPrompt(text, count(ids, IMAGE_ID), standIn);
    expect(Array.from(prompt.ids)).toEqual(ids);
    expect(Array.from(prompt.maskPositions)).toEqual(item.mask_positions);
  });

  test.each(cases.filter((item) => item.file === "text_forward"))("question $case", (item) => {
    const ids = expand(item.ids);
    const image = count(ids, IMAGE_ID);
    const question = image > 0 ? "What is in the picture?" : "What is two plus three?";
    const text = answerText(question, { image: image > 0 });
    expect(Array.from(encodeWithImages(text, standIn, image > 0 ? [image] : []))).toEqual(ids);
  });
});

describe("drawing with scenes", () => {
  const folder = "../../../models/scenes/";
  const tokenizer = createTokenizer(read(`${folder}tokenizer.json`), read(`${folder}tokenizer_config.json`));
  interface DrawCase {
    readonly prompt: string;
    readonly micro: string | null;
    readonly plan: string;
    readonly rows: number[][];
  }
  interface EditCase {
    readonly instruction: string;
    readonly plan: string;
    readonly imageTokens: number;
    readonly sourceTokens: number;
    readonly full: number[];
    readonly enc: number[][];
    readonly un: number[];
  }
  const fixture: {
    draws: DrawCase[];
    feedbacks: (DrawCase & { feedback: string[]; imageTokens: number })[];
    edits: EditCase[];
  } = JSON.parse(read("../../fixtures/tokenizer.json"));
  /** Training's ids have -1 at picture tokens. */
  const trained = (row: Int32Array) => Array.from(row, (id) => id === IMAGE_ID ? -1 : id);

  test("builds the rows that training builds", () => {
    expect(fixture.draws.length).toBe(6);
    for (const { prompt, micro, plan, rows } of fixture.draws) {
      const built = drawPrompt({ prompt, plan, ...(micro === null ? {} : { micro }) }, tokenizer);
      expect(built.rows.map((row) => Array.from(row)), prompt).toEqual(rows);
    }
  });

  test("builds the rows that training builds after feedback", () => {
    expect(fixture.feedbacks.length).toBe(2);
    for (const { prompt, micro, plan, feedback, imageTokens, rows } of fixture.feedbacks) {
      const refused = feedback.map((text) => ({ text, imageTokens }));
      const built = drawPrompt({ prompt, plan, feedback: refused, ...(micro === null ? {} : { micro }) }, tokenizer);
      expect(built.rows.map(trained), prompt).toEqual(rows);
    }
  });

  test("builds the rows of edits that training builds, in every mode", () => {
    expect(fixture.edits.length).toBe(2);
    for (const { full, enc, un, ...request } of fixture.edits) {
      for (const mode of [0, 1, 2, 3] as const) {
        const rows = editPrompt({ ...request, mode }, tokenizer).rows.map(trained);
        expect(rows, `${request.instruction}, mode ${mode}`).toEqual([full, enc[mode], un]);
      }
    }
  });

  test("a plan of an edit is training's plan, letter by letter", () => {
    const box = boxToLoc({ x1: 32, y1: 64, x2: 160, y2: 192 }, { width: 256, height: 256 });
    const plan = editPlanToText("adjusting", [{ phrase: "red car", boxes: [box] }]);
    expect(fixture.edits.map((item) => item.plan)).toContain(plan);
  });

  test("a plan of boxes is training's plan, letter by letter", () => {
    const size = { width: 256, height: 256 };
    const plan = planToText([
      { phrase: "red car", boxes: [boxToLoc({ x1: 32, y1: 64, x2: 160, y2: 192 }, size)] },
      { phrase: "blue dog", boxes: [boxToLoc({ x1: 160, y1: 0, x2: 256, y2: 97 }, size)] },
    ]);
    expect(fixture.draws.map((item) => item.plan)).toContain(plan);
  });

  test("the header stays unconditional without a plan, and is masked with one", () => {
    const header = Array.from(tokenizer.encode(ASSISTANT_HEADER));
    const mask = tokenizer.id(TOKENS.mask);
    const [, plain] = drawPrompt({ prompt: "a photo of a dog" }, tokenizer).rows;
    expect(Array.from(plain.slice(-header.length))).toEqual(header);
    expect(plain.slice(0, -header.length).every((id) => id === mask)).toBe(true);
    const [conditional, masked] = drawPrompt({ prompt: "a photo of a dog", plan: "Sure" }, tokenizer).rows;
    expect(masked.every((id) => id === mask)).toBe(true);
    expect(masked.length).toBe(conditional.length);
  });

  test("strips what ends a text from a plan, and keeps [exp]", () => {
    const [row] =
      drawPrompt({ prompt: "a", plan: `x${TOKENS.expand}${TOKENS.endOfTurn}${TOKENS.endOfText}` }, tokenizer)
        .rows;
    expect(row.at(-1)).toBe(tokenizer.id(TOKENS.expand));
  });

  test("the chat template of tokenizer_config.json is that of the code", () => {
    const config = JSON.parse(read(`${folder}tokenizer_config.json`));
    for (const token of [TOKENS.startHeader, TOKENS.endHeader, TOKENS.endOfTurn]) {
      expect(config.chat_template).toContain(token);
    }
    expect(config.bos_token).toBe(TOKENS.beginOfText);
  });
});

describe("pieces", () => {
  test("micro-conditioning writes keys in the published order", () => {
    expect(microString({ width: 256, height: 256 })).toBe(
      "ORIGINAL WIDTH : 256; ORIGINAL HEIGHT : 256; TOP : 0; LEFT : 0;",
    );
    expect(microString({ width: 1, height: 2, top: 3, left: 4, hps: 3.2214, score: 7, contrast: 0.45, luminance: 0.4 }))
      .toBe(
        "ORIGINAL WIDTH : 1; ORIGINAL HEIGHT : 2; TOP : 3; LEFT : 4; LUMINANCE : 0.400; CONTRAST : 0.450; SCORE : 7.000; HPS : 3.221;",
      );
  });

  test("a verdict accepts by the published words only", () => {
    expect(isAccepted("The image is correct.")).toBe(true);
    expect(isAccepted("The image is not correct.")).toBe(false);
  });

  test("quirks can be switched off", () => {
    const none = { trailingHeader: false, dropAfterImage: false, strayApostrophe: false };
    const text = answerText("What is this?", { image: true });
    expect(encodeWithImages(text, standIn, [1], none).length).toBe(
      encodeWithImages(text, standIn, [1], PUBLISHED_QUIRKS).length + 1,
    );
    expect(groundOneText("x", none).startsWith(TOKENS.beginOfText)).toBe(true);
    expect(Array.from(drawPrompt({ prompt: "x" }, standIn, none).suffixes[0])).toEqual([standIn.id(TOKENS.endOfTurn)]);
  });

  test("pictures and their places must match", () => {
    expect(() => encodeWithImages("<image>", standIn, [])).toThrow(
      expect.objectContaining({ code: "image_count_mismatch" }),
    );
  });
});
