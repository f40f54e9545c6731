import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { drawCommand } from "../../commands/draw.ts";
import type { InferenceOptions } from "../../core/tasks/remote.ts";
import { type Double, double, encodeDouble } from "../functions/double.ts";
import { collect } from "./collect.ts";

let folder = "";
beforeEach(async () => void (folder = await Deno.makeTempDir()));
afterEach(() => Deno.remove(folder, { recursive: true }));

function command(inference: Double = double(), choices: InferenceOptions[] = []) {
  return drawCommand((choice) => {
    choices.push(choice);
    return Promise.resolve(inference);
  }, encodeDouble);
}

describe("draw", () => {
  it("writes the file and prints exactly one line of JSON", async () => {
    const out = `${folder}/a.png`;
    const { code, stdout, stderr } = await collect(command(), ["a dog", "--seed", "7", "--out", out, "--json"]);
    expect(code).toBe(0);
    expect(stdout.endsWith("\n")).toBe(true);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toEqual({
      out,
      prompt: "a dog",
      width: 256,
      height: 256,
      seed: 7,
      steps: 32,
      guidance: 0.5,
      order: "stratified",
      model: "scenes",
      provider: "cpu",
      seconds: 0.25,
    });
    expect(await Deno.readTextFile(out)).toBe("png - 7");
    expect(stderr).toContain("drawing 32/32");
  });

  it("prints nothing on stdout without --json", async () => {
    const { stdout, stderr } = await collect(command(), ["a dog", "--out", `${folder}/a.png`, "--seed=1"]);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/a\.png: 256x256, seed 1, 32 steps, 0\.25 s on cpu/);
  });

  it("passes the options on", async () => {
    const inference = double();
    const choices: InferenceOptions[] = [];
    await collect(command(inference, choices), [
      ..."--steps 8 --guidance 2.5 --order halton --size 256x256 --seed 5".split(" "),
      ..."--provider wasm --threads 2 --model some/folder".split(" "),
      ...["--out", `${folder}/a.png`, "a dog"],
    ]);
    expect(inference.seen.requests).toEqual([
      { prompt: "a dog", seed: 5, steps: 8, guidance: 2.5, order: "halton", size: "256x256" },
    ]);
    expect(choices).toEqual([{ modelFolder: "some/folder", provider: "wasm", threads: 2 }]);
  });

  it.each([["jpg", "jpeg 95 1"], ["JPEG", "jpeg 95 1"], ["webp", "webp 95 1"]])(
    "takes the format from .%s",
    async (extension, bytes) => {
      const out = `${folder}/a.${extension}`;
      expect((await collect(command(), ["a dog", "--seed", "1", "--out", out])).code).toBe(0);
      expect(await Deno.readTextFile(out)).toBe(bytes);
    },
  );

  it("draws a bar on a terminal, on one line that it clears", async () => {
    const out = `${folder}/a.png`;
    const { stderr } = await collect(command(), ["a dog", "--steps", "4", "--out", out], { terminal: true });
    expect(stderr).toContain(`\rdrawing ${"█".repeat(16)}${"░".repeat(16)} 2/4`);
    expect(stderr.split("\n")).toHaveLength(2);
  });

  it.each<[string, readonly string[], string]>([
    ["no prompt", [], "prompt_missing"],
    ["an unquoted prompt", ["a", "dog"], "prompt_not_quoted"],
    ["an unknown flag", ["a dog", "--sed", "7"], "unknown_flag"],
    ["a flag without its value", ["a dog", "--seed"], "flag_without_value"],
    ["a switch with a value", ["a dog", "--help=1"], "flag_without_value"],
    ["a seed that is no number", ["a dog", "--seed", "seven"], "flag_not_a_number"],
    ["an empty number", ["a dog", "--seed="], "flag_not_a_number"],
    ["an unknown format", ["a dog", "--out", "a.gif"], "output_format_unsupported"],
    ["a file without extension", ["a dog", "--out", "a"], "output_format_unsupported"],
    ["a negative number where none may be", ["a dog", "--guidance", "-1"], "guidance_out_of_range"],
    ["no steps", ["a dog", "--steps", "0"], "steps_out_of_range"],
    ["half a seed", ["a dog", "--seed", "0.5"], "seed_out_of_range"],
    ["an unknown order", ["a dog", "--order", "raster"], "order_unknown"],
    ["another size", ["a dog", "--size", "512x512"], "size_unsupported"],
    ["an unknown provider", ["a dog", "--provider", "cuda"], "unknown_provider"],
    ["no threads", ["a dog", "--threads", "0"], "threads_out_of_range"],
    ["a folder that is not there", ["a dog", "--out", "/nowhere/at/all/a.png"], "output_not_writable"],
  ])("refuses %s: exit 2, code, message and fix on both streams", async (_, args, code) => {
    const result = await collect(command(), [...args, "--json"]);
    expect(result.code).toBe(2);
    expect(result.stdout.trimEnd().split("\n")).toHaveLength(1);
    const { error } = JSON.parse(result.stdout);
    expect(error.code).toBe(code);
    expect(error.message.length).toBeGreaterThan(5);
    expect(error.fix.length).toBeGreaterThan(5);
    expect(result.stderr).toContain(`error: ${error.message} (${code})\n  fix: ${error.fix}\n`);
  });

  it("looks at the folder of --out before it opens the model", async () => {
    const choices: InferenceOptions[] = [];
    await collect(command(double(), choices), ["a dog", "--out", `${folder}/nowhere/a.png`]);
    expect(choices).toEqual([]);
  });

  it("exits 1 for a failure that nobody asked for, and says it", async () => {
    const result = await collect(command(double({ fail: new TypeError("the adapter was lost") })), ["a dog", "--json"]);
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout).error).toMatchObject({
      code: "internal_error",
      message: "the adapter was lost",
    });
  });

  it("stops at Ctrl-C with exit 130, closes the model and leaves no file", async () => {
    let closed = 0;
    const inference: Double = { ...double({ stepMilliseconds: 5 }), close: () => Promise.resolve(void closed++) };
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException("interrupted", "AbortError")), 20);
    const out = `${folder}/a.png`;
    const result = await collect(command(inference), ["a dog", "--out", out], { signal: controller.signal });
    expect(result.code).toBe(130);
    expect(closed).toBe(1);
    await expect(Deno.stat(out)).rejects.toThrow();
  });

  it("explains itself on --help", async () => {
    const { code, stderr } = await collect(command(), ["--help"]);
    expect(code).toBe(0);
    for (const flag of ["--seed", "--steps", "--guidance", "--size", "--order", "--out", "--json"]) {
      expect(stderr).toContain(flag);
    }
  });
});
