/** The commands of single tasks, over the real tasks in a tiny model of random numbers. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { askCommand } from "../../../commands/ask.ts";
import { editCommand } from "../../../commands/edit.ts";
import { findCommand } from "../../../commands/find.ts";
import type { Command } from "../../../commands/lib/command.ts";
import type { OpenModel } from "../../../commands/lib/model.ts";
import { decodePicture, encodePicture } from "../../../core/image/codec.ts";
import type { InferenceOptions } from "../../../core/tasks/remote.ts";
import { picture, seeingModel } from "../../core/tasks/seeing_model.ts";
import { collect } from "../collect.ts";
import { opening, type Seeing, seeing } from "./seeing.ts";

let folder = "", file = "";
beforeEach(async () => {
  folder = await Deno.makeTempDir();
  file = `${folder}/a.png`;
  await Deno.writeFile(file, await encodePicture(picture(40, 30), "png"));
});
afterEach(() => Deno.remove(folder, { recursive: true }));

const COMMANDS: Readonly<Record<string, (open: OpenModel) => Command>> = {
  ask: askCommand,
  find: (open) => findCommand(open, encodePicture),
  edit: (open) => editCommand(open, encodePicture),
};

interface Ran {
  readonly code: number;
  /** The line of `--json`. */
  readonly line: Readonly<Record<string, unknown>>;
  readonly stderr: string;
  readonly inference: Seeing;
  readonly choices: InferenceOptions[];
}

async function run(name: string, args: readonly string[], inference?: Seeing): Promise<Ran> {
  const opened = inference ?? await seeing(), choices: InferenceOptions[] = [];
  const make = COMMANDS[name];
  if (make === undefined) throw new Error(`no command ${name}`);
  const { code, stdout, stderr } = await collect(make(opening(Promise.resolve(opened), choices)), [...args, "--json"]);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  return { code, line: JSON.parse(stdout), stderr, inference: opened, choices };
}

describe("ask", () => {
  it("answers in words, and says what it took", async () => {
    const { code, line, stderr, inference } = await run("ask", [file, "What is this?", "--length", "16"]);
    expect(code).toBe(0);
    expect(line).toMatchObject({
      question: "What is this?",
      truncated: true,
      forwards: 16,
      tokens: 16,
      model: "table",
    });
    expect(typeof line["answer"]).toBe("string");
    expect(stderr).toContain("answering 16/16");
    expect(stderr).toContain(`${line["answer"]}\n(cut off`);
    expect(inference.closed).toBe(1);
  });

  it("stops with the answer's end", async () => {
    const end = seeingModel().config.endTokenId;
    const { line } = await run("ask", [file, "why"], await seeing({ says: { 1: end } }));
    expect(line).toMatchObject({ tokens: 1, truncated: false });
    expect(line["forwards"]).toBeLessThan(64);
  });

  it("passes its options on, and the picture as its file is", async () => {
    const flags = ["--length", "32", "--temperature", "0.5", "--seed", "7", "--provider", "wasm", "--model", "some"];
    const { inference, choices } = await run("ask", [file, "why", ...flags]);
    expect(inference.inputs).toEqual([{
      task: "answer",
      input: { question: "why", picture: await Deno.readFile(file), length: 32, temperature: 0.5, seed: 7 },
    }]);
    expect(choices).toEqual([{ modelFolder: "some", provider: "wasm" }]);
  });
});

describe("find", () => {
  it("finds each in one forward", async () => {
    const { code, line, stderr } = await run("find", [file, "the dog", "the red car"]);
    expect(code).toBe(0);
    expect(line).toMatchObject({ forwards: 1, boxes: [{ label: "the dog" }, { label: "the red car" }] });
    for (const { found, xyxy } of line["boxes"] as { found: boolean; xyxy: number[] }[]) {
      expect([found, xyxy.length]).toEqual([true, 4]);
      expect(stderr).toContain(`[${xyxy.join(", ")}]`);
    }
  });

  it("shows the boxes on the picture", async () => {
    const out = `${folder}/found.png`;
    const { code, line, stderr } = await run(
      "find",
      [file, "the dog", "--out", out],
      await seeing({ finds: { 0: 16, 1: 16, 2: 48, 3: 48 } }),
    );
    expect(code, stderr).toBe(0);
    expect(line["out"]).toBe(out);
    const [before, after] = [
      await decodePicture(await Deno.readFile(file)),
      await decodePicture(await Deno.readFile(out)),
    ];
    const differing = [...after.data.keys()].filter((i) => after.data[i] !== before.data[i]).length;
    expect([after.width, after.height]).toEqual([before.width, before.height]);
    // A frame, not a filled box.
    expect([differing > 50, differing < after.data.length / 2]).toEqual([true, true]);
  });

  it("takes more forwards where it is asked to", async () => {
    const { line, inference } = await run("find", [file, "the dog", "--steps", "2"]);
    expect(line["forwards"]).toBe(2);
    expect(inference.inputs[0]?.input).toMatchObject({ expressions: ["the dog"], steps: 2 });
  });

  it("says honestly what is not there", async () => {
    const absent = await seeing({ finds: { 0: 0, 1: 0, 2: 0, 3: 0 } });
    const { line, stderr, code } = await run("find", [file, "the dog"], absent);
    expect(code).toBe(0);
    expect(line).toMatchObject({ boxes: [{ label: "the dog", found: false }] });
    expect(stderr).toContain("the dog: not there\n");
  });
});

describe("edit", () => {
  it("writes a picture, the same for the same seed", async () => {
    const out = `${folder}/b.png`;
    const args = [file, "make the dog red", "--seed", "7", "--steps", "4", "--out", out];
    const { code, line, stderr } = await run("edit", args);
    expect(code).toBe(0);
    expect(line).toMatchObject({
      out,
      instruction: "make the dog red",
      seed: 7,
      steps: 4,
      guidance: 1.2,
      image_guidance: 1.4,
      positions: null,
      forwards: 4,
    });
    const bytes = await Deno.readFile(out), { width, height } = await decodePicture(bytes);
    expect([width, height]).toEqual([line["width"], line["height"]]);
    expect(stderr).toMatch(/b\.png: \d+x\d+, seed 7, 4 steps/);
    expect(stderr).toContain("editing 4/4");
    await run("edit", args);
    expect(await Deno.readFile(out)).toEqual(bytes);
  });

  it("takes a plan's boxes from a file, and keeps what lies outside of them", async () => {
    const plan = `${folder}/plan.json`, out = `${folder}/b.png`;
    const boxes = [{ label: "dog", xyxy: [0, 0, 20, 15], loc: [0, 0, 1, 1] }];
    await Deno.writeTextFile(plan, JSON.stringify({ verb: "removing", boxes }));
    const flags = ["--plan", plan, "--lock", "plan", "--steps", "2", "--image-guidance", "0", "--out", out];
    const { line, inference } = await run("edit", [file, "remove the dog", ...flags]);
    expect(inference.inputs[0]?.input).toMatchObject({
      plan: [{ label: "dog", xyxy: [0, 0, 20, 15] }],
      planVerb: "removing",
      lock: "plan",
      imageGuidance: 0,
    });
    expect(line["positions"]).toBeGreaterThan(0);
    expect(line["positions"]).toBeLessThan(64);
    expect(line).toMatchObject({ image_guidance: 0 });
  });

  it("draws a new seed, and says which", async () => {
    const args = [file, "make the dog red", "--steps", "1", "--out", `${folder}/b.png`];
    const { line, inference } = await run("edit", args);
    expect(inference.inputs[0]?.input["seed"]).toBe(line["seed"]);
    expect((await run("edit", args)).line["seed"]).not.toBe(line["seed"]);
  });
});

describe.each(Object.keys(COMMANDS))("%s", (name) => {
  const words = name === "find" ? ["the dog"] : ["make the dog red"];

  it.each<[string, (file: string) => readonly string[], string]>([
    ["no picture", () => [], "picture_missing"],
    ["a picture that is not there", () => ["/nowhere.png", ...words], "picture_not_readable"],
    ["two pictures where one is meant", (file) => [file, file, ...words], "pictures_too_many"],
    ["an unknown flag", (file) => [file, ...words, "--sed", "7"], "unknown_flag"],
    ["an unknown provider", (file) => [file, ...words, "--provider", "cuda"], "unknown_provider"],
    [
      "no words",
      (file) => [file],
      name === "find" ? "expression_missing" : name === "ask" ? "question_missing" : "instruction_missing",
    ],
  ])("refuses %s before it opens the model", async (_, args, code) => {
    const { code: exit, line, choices, stderr } = await run(name, args(file));
    expect([exit, line]).toMatchObject([2, { error: { code } }]);
    expect(choices).toEqual([]);
    expect(stderr).toContain("fix: ");
  });

  it("refuses what is no picture", async () => {
    await Deno.writeTextFile(file, "a text");
    const { code, line } = await run(name, [file, ...words]);
    expect([code, line]).toMatchObject([2, { error: { code: "image_format_unsupported" } }]);
  });

  it("says what a model without trained weights for it cannot do, closes it and writes nothing", async () => {
    const inference = await seeing({ able: ["draw"] });
    const out = name === "edit" ? ["--out", `${folder}/b.png`] : [];
    const { code, line } = await run(name, [file, ...words, ...out], inference);
    expect([code, line]).toMatchObject([2, { error: { code: "task_not_supported" } }]);
    expect(inference.closed).toBe(1);
    await expect(Deno.stat(`${folder}/b.png`)).rejects.toThrow();
  });

  it("explains itself on --help", async () => {
    const { code, stdout, stderr } = await collect(
      COMMANDS[name]?.(opening(seeing())) ?? (() => Promise.reject(new Error())),
      ["--help"],
    );
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toContain(`usage: deno task ${name} PICTURE`);
  });
});

it.each([
  ["ask", ["a", "question"], "question_not_quoted"],
  ["ask", ["why", "--length", "0"], "length_invalid"],
  ["ask", ["why", "--temperature", "-1"], "temperature_invalid"],
  ["find", ["the dog", "--steps", "0"], "steps_invalid"],
  ["find", ["the dog", "--out", "a.gif"], "output_format_unsupported"],
  ["edit", ["add", "a", "dog"], "instruction_not_quoted"],
  ["edit", ["add a dog", "--out", "a.gif"], "output_format_unsupported"],
  ["edit", ["add a dog", "--out", "/nowhere/at/all/a.png"], "output_not_writable"],
  ["edit", ["add a dog", "--mask", "/nowhere.png"], "mask_not_readable"],
  ["edit", ["add a dog", "--plan", "/nowhere.json"], "plan_not_readable"],
  ["edit", ["add a dog", "--lock", "all"], "lock_invalid"],
  ["edit", ["add a dog", "--image-guidance", "-1"], "image_guidance_invalid"],
])("%s refuses %j", async (name, args, code) => {
  const { code: exit, line, choices } = await run(name, [file, ...args]);
  expect([exit, line]).toMatchObject([2, { error: { code } }]);
  expect(choices).toEqual([]);
});

it("refuses a plan that is none, and one with boxes outside the picture", async () => {
  const plan = `${folder}/plan.json`;
  await Deno.writeTextFile(plan, "no JSON");
  expect((await run("edit", [file, "add a dog", "--plan", plan])).line).toMatchObject({
    error: { code: "plan_invalid" },
  });
  await Deno.writeTextFile(plan, JSON.stringify([{ label: "dog", xyxy: [0, 0, 400, 15] }]));
  expect((await run("edit", [file, "add a dog", "--plan", plan])).line)
    .toMatchObject({ error: { code: "plan_outside_canvas" } });
});
