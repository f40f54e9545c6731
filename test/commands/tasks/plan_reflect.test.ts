/** The commands plan and reflect, over the real tasks in a tiny model that says what a test wants. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { drawCommand } from "../../../commands/draw.ts";
import type { Command } from "../../../commands/lib/command.ts";
import { planCommand } from "../../../commands/plan.ts";
import { reflectCommand } from "../../../commands/reflect.ts";
import { decodePicture, encodePicture } from "../../../core/image/codec.ts";
import { editPlanToText, planToText } from "../../../core/model/boxes.ts";
import type { InferenceOptions } from "../../../core/tasks/remote.ts";
import { picture } from "../../core/tasks/seeing_model.ts";
import { double } from "../../functions/double.ts";
import { collect } from "../collect.ts";
import { opening, type Seeing, seeing } from "./seeing.ts";

let folder = "", file = "";
beforeEach(async () => {
  folder = await Deno.makeTempDir();
  file = `${folder}/a.png`;
  await Deno.writeFile(file, await encodePicture(picture(128, 128), "png"));
});
afterEach(() => Deno.remove(folder, { recursive: true }));

const objects = [{ phrase: "red car", boxes: [[0, 0, 32, 32]] }, { phrase: "dog", boxes: [[32, 32, 64, 64]] }] as const;

/** Plans two things, and accepts the second picture. */
function thinker(): Promise<Seeing> {
  let judged = 0;
  return seeing({
    says: (prompt) => {
      if (prompt.includes("Please evaluate")) return judged++ === 0 ? "The dog is missing." : "The image is correct.";
      return prompt.includes("remove the") ? editPlanToText("removing", objects.slice(1)) : planToText(objects);
    },
  });
}

async function run(
  command: (open: ReturnType<typeof opening>) => Command,
  args: readonly string[],
  inference?: Seeing,
) {
  const opened = inference ?? await thinker(), choices: InferenceOptions[] = [];
  const { code, stdout, stderr } = await collect(command(opening(Promise.resolve(opened), choices)), [
    ...args,
    "--json",
  ]);
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  const line: Readonly<Record<string, unknown>> = JSON.parse(stdout);
  return { code, line, stdout, stderr, inference: opened, choices };
}

const plan = (open: ReturnType<typeof opening>) => planCommand(open, encodePicture);
const reflect = (open: ReturnType<typeof opening>) => reflectCommand(open, encodePicture);

describe("plan", () => {
  it("says where things go, in pixels, and shows it", async () => {
    const out = `${folder}/plan.png`;
    const { code, line, stderr } = await run(plan, ["a red car and a dog", "--seed", "3", "--out", out]);
    expect(code, stderr).toBe(0);
    expect(line).toMatchObject({
      prompt: "a red car and a dog",
      seed: 3,
      boxes: [{ label: "red car", xyxy: [0, 0, 64, 64] }, { label: "dog", xyxy: [64, 64, 128, 128] }],
      malformed: [],
      out,
    });
    expect(stderr).toContain("dog: [64, 64, 128, 128]\n");
    expect(stderr).toMatch(/red car #[0-9a-f]{6}, dog #/);
    const shown = await decodePicture(await Deno.readFile(out)),
      shade = (x: number, y: number) => shown.data[3 * (y * shown.width + x)];
    expect(shade(32, 32)).toBe(255);
    expect(shade(0, 32)).not.toBe(255);
  });

  it("is what a drawing takes, changed or not", async () => {
    const { stdout } = await run(plan, ["a red car and a dog"]);
    await Deno.writeTextFile(`${folder}/plan.json`, stdout.replace("[0,0,64,64]", "[0,0,32,64]"));
    const drawing = double(), made: unknown[] = [];
    const open = () =>
      Promise.resolve({
        ...drawing,
        draw: (input: unknown) => (made.push(input), Promise.reject(new Error("enough"))),
      });
    await collect(drawCommand(open as never, encodePicture), ["a dog", "--seed", "1", "--plan", `${folder}/plan.json`]);
    expect(made).toEqual([{
      prompt: "a dog",
      seed: 1,
      plan: [{ label: "red car", xyxy: [0, 0, 32, 64] }, { label: "dog", xyxy: [64, 64, 128, 128] }],
    }]);
  });

  it("plans an edit beside a picture", async () => {
    const { code, line, inference } = await run(plan, ["remove the dog", "--picture", file]);
    expect(code).toBe(0);
    expect(line).toMatchObject({ instruction: "remove the dog", verb: "removing", boxes: [{ label: "dog" }] });
    expect(inference.inputs[0]?.input).toMatchObject({ picture: await Deno.readFile(file) });
  });

  it("tells what is no plan", async () => {
    const { code, line, stderr } = await run(plan, ["a dog"], await seeing({ says: () => "I would rather not" }));
    expect(code).toBe(0);
    expect(line).toMatchObject({ boxes: [], malformed: ["I would rather not"] });
    expect(stderr).toContain('no object with its box: "I would rather not"');
  });
});

describe("reflect", () => {
  it("draws until the picture is accepted, and tells each round", async () => {
    const out = `${folder}/b.png`, trace = `${folder}/trace`;
    const args = ["a red car and a dog", "--seed", "5", "--steps", "4", "--out", out, "--trace", trace];
    const { code, line, stderr } = await run(reflect, args);
    expect(code, stderr).toBe(0);
    expect(line).toMatchObject({
      out,
      seed: 5,
      accepted: true,
      rounds: [
        { round: 1, verdict: "The dog is missing.", accepted: false, reason: "The dog is missing.", feedback: [] },
        {
          round: 2,
          verdict: "The image is correct.",
          accepted: true,
          reason: null,
          feedback: [1],
          forwards: { draw: 4 },
        },
      ],
    });
    const [first] = line["rounds"] as { plan: { boxes: unknown[] }; picture?: unknown; ids?: unknown }[];
    expect([first?.plan.boxes.length, first?.picture, first?.ids]).toEqual([2, undefined, undefined]);
    expect(stderr).toContain("round 1: The dog is missing.\nround 2: The image is correct.\n");
    const [picture, last, other] = await Promise.all(
      [out, `${trace}/round2.png`, `${trace}/round1.png`].map((name) => Deno.readFile(name)),
    );
    expect(last).toEqual(picture);
    expect(other).not.toEqual(picture);
  });

  it("passes on what is switched off", async () => {
    const flags = ["--rounds", "2", "--no-feedback", "--no-plan", "--guidance", "0", "--out", `${folder}/b.png`];
    const { inference, line } = await run(reflect, ["a dog", "--steps", "2", ...flags]);
    const seed = inference.inputs[0]?.input["seed"];
    expect(inference.inputs).toEqual([{
      task: "reflect",
      input: { prompt: "a dog", seed, rounds: 2, steps: 2, guidance: 0, plan: false, feedback: false },
    }]);
    expect(line).toMatchObject({ seed, rounds: [{ plan: null }, { plan: null, feedback: [] }] });
    const single = await run(reflect, ["a dog", "--steps", "2", "--no-judge", "--out", `${folder}/b.png`]);
    expect(single.line).toMatchObject({ accepted: null, rounds: [{ round: 1, verdict: null }] });
  });
});

describe.each([["plan", plan], ["reflect", reflect]] as const)("%s", (name, command) => {
  it.each<[string, readonly string[], string]>([
    ["no prompt", [], "prompt_missing"],
    ["an unquoted prompt", ["a", "dog"], "prompt_not_quoted"],
    ["an unknown flag", ["a dog", "--sed", "7"], "unknown_flag"],
    ["an unknown format", ["a dog", "--out", "a.gif"], "output_format_unsupported"],
    ["a folder that is not there", ["a dog", "--out", "/nowhere/at/all/a.png"], "output_not_writable"],
    ["half a seed", ["a dog", "--seed", "0.5"], "seed_invalid"],
  ])("refuses %s before it opens the model", async (_, args, code) => {
    const { code: exit, line, choices } = await run(command, args);
    expect([exit, line]).toMatchObject([2, { error: { code } }]);
    expect(choices).toEqual([]);
  });

  it("says what a model without trained weights for it cannot do", async () => {
    const inference = await seeing({ able: ["draw"] });
    const { code, line } = await run(command, ["a dog", "--out", `${folder}/b.png`], inference);
    expect([code, line]).toMatchObject([2, { error: { code: "task_not_supported" } }]);
    expect(inference.closed).toBe(1);
  });

  it("explains itself on --help", async () => {
    const { code, stderr } = await collect(command(opening(seeing())), ["--help"]);
    expect([code, stderr.includes(`usage: deno task ${name} "PROMPT"`)]).toEqual([0, true]);
  });
});

it.each(
  [
    ["plan", plan, ["a dog", "--picture", "/nowhere.png"], "picture_not_readable"],
    ["plan", plan, ["a dog", "--temperature", "-1"], "temperature_invalid"],
    ["reflect", reflect, ["a dog", "--rounds", "0"], "rounds_invalid"],
  ] as const,
)("%s refuses", async (_, command, args, code) => {
  expect((await run(command, args)).line).toMatchObject({ error: { code } });
});
