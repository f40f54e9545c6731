/** The parity runner on the repository's copy of the reference numbers, and on copies with something wrong. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { execute } from "../../commands/lib/command.ts";
import { parityCommand, parityExit } from "../../commands/parity.ts";
import { writeOtherSizes } from "../parity/other_sizes.ts";
import { MODEL_FILES } from "../../commands/parity/reference_model.ts";

const COPY = new URL("../parity/", import.meta.url).pathname;
const MINUTES = 60_000;
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function run(args: readonly string[]) {
  let stderr = "";
  const output = { stdout: () => {}, stderr: (text: string) => void (stderr += text), terminal: false };
  const code = await execute(parityCommand, args, { output, signal: new AbortController().signal }, parityExit);
  return { code, lines: stderr.trimEnd().split("\n") };
}

function parity(folder: string) {
  return run([folder, "--provider", "cpu", "--threads", "1"]);
}

/** A folder with these files of the copy. */
function folderWith(...names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "parity-"));
  folders.push(folder);
  for (const name of names) copyFileSync(join(COPY, name), join(folder, name));
  return folder;
}

function edit<T>(folder: string, name: string, change: (json: T) => void): void {
  const json: T = JSON.parse(readFileSync(join(folder, name), "utf8"));
  change(json);
  writeFileSync(join(folder, name), JSON.stringify(json));
}

/** Adds `by` to one number of a tensor: int16, int32 or fp32. */
function nudge(folder: string, name: string, tensor: string, by: number): void {
  const file = join(folder, name);
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { dtype, data_offsets: [begin, end] } = header[tensor];
  const at = 8 + length + begin + (dtype === "I16" ? 2 : 4) * Math.floor((end - begin) / 11);
  if (dtype === "I16") view.setInt16(at, view.getInt16(at, true) + by, true);
  else if (dtype === "I32") view.setInt32(at, view.getInt32(at, true) + by, true);
  else view.setFloat32(at, view.getFloat32(at, true) + by, true);
  writeFileSync(file, bytes);
}

test("every case of the repository's copy passes, and the last line is a count", { timeout: 5 * MINUTES }, async () => {
  const { code, lines } = await parity(COPY);
  expect(lines.filter((line) => line.startsWith("MISS"))).toEqual([]);
  expect(lines.at(-1)).toMatch(/^70 of 70 cases pass, 2 optional skipped \(cpu, onnxruntime-node/);
  expect(code).toBe(0);
  for (const graph of ["draw_full", "text_step", "text_head", "text_head_rows", "vision_tower", "vq_encode"]) {
    expect(lines.some((line) => line.startsWith("pass") && line.includes(graph)), graph).toBe(true);
  }
});

describe("what is wrong is found", () => {
  test("a count of a schedule, without a model", async () => {
    const folder = folderWith("schedule.json");
    edit(folder, "schedule.json", ({ counts }: { counts: { counts: number[] }[] }) => {
      (counts[0]?.counts ?? [])[3] = 99;
    });
    const { code, lines } = await parity(folder);
    expect(code).toBe(1);
    expect(lines.find((line) => line.startsWith("MISS"))).toMatch(/counts at 3: 14, expected 99/);
    expect(lines.find((line) => line.startsWith("absent"))).toMatch(
      /t2i_loop\.json.*config\.json.*weights\.safetensors/,
    );
    expect(lines.at(-1)).toMatch(/^31 of 32 cases pass/);
  });

  test.each(
    [
      ["edit_loop", "mode0/ids_after_step", 1, /ids_after_step: at \d+/],
      // Not a tie: the neighbouring id is another code, far from the latent.
      ["edit_loop", "mode1/source_vq_ids", 1, /source_vq_ids at \d+: error/],
      ["grounding", "one_two_steps/forward1.argmax", 1, /forward1\.argmax: at \d/],
      ["image_preprocess", "encoder/projected", 1e-2, /projected/],
      ["text_forward", "plain/cache.k0", 1, /cache\.k0/],
    ] as const,
  )("%s: %s", { timeout: 2 * MINUTES }, async (file, tensor, by, expected) => {
    const folder = folderWith(...MODEL_FILES, `${file}.json`, `${file}.safetensors`);
    nudge(folder, `${file}.safetensors`, tensor, by);
    const { code, lines } = await parity(folder);
    expect(code).toBe(1);
    const misses = lines.slice(lines.indexOf("misses:"));
    expect(misses.join("\n")).toMatch(expected);
    expect(lines.filter((line) => line.startsWith("MISS")).length).toBe(1);
  });

  test("a case file without its tensors", { timeout: MINUTES }, async () => {
    const folder = folderWith(...MODEL_FILES, "text_decode.json");
    const { code, lines } = await parity(folder);
    expect(code).toBe(1);
    expect(lines.join("\n")).toMatch(/text_decode has no tensors/);
  });

  test("a setting that is not built", { timeout: MINUTES }, async () => {
    const folder = folderWith(...MODEL_FILES, "text_decode.json", "text_decode.safetensors");
    edit(folder, "text_decode.json", (json: { cases: Record<string, { settings: Record<string, unknown> }> }) => {
      json.cases = { plain: { ...json.cases["plain"], settings: { ...json.cases["plain"]?.settings, guidance: 2 } } };
    });
    const { code, lines } = await parity(folder);
    expect(code).toBe(1);
    expect(lines.join("\n")).toMatch(/plain: settings: nothing here knows guidance/);
  });
});

test("a folder of other sizes, with fewer files and cases", { timeout: 3 * MINUTES }, async () => {
  const folder = folderWith();
  writeOtherSizes(COPY, folder);
  const { code, lines } = await parity(folder);
  expect(lines.filter((line) => line.startsWith("MISS"))).toEqual([]);
  expect(lines.find((line) => line.startsWith("absent"))).toBe(
    "absent from the folder: schedule.json, prompts.json, vq.json, edit_loop.json",
  );
  expect(lines.at(-1)).toMatch(/^18 of 18 cases pass, 0 optional skipped/);
  expect(code).toBe(0);
});

test("a folder without cases fails", async () => {
  const { code, lines } = await parity(folderWith("config.json"));
  expect(code).toBe(1);
  expect(lines.join("\n")).toMatch(/parity_no_cases/);
});

test("no folder is a question", async () => {
  const { code, lines } = await run([]);
  expect(code).toBe(2);
  expect(lines.join("\n")).toMatch(/deno task parity FOLDER/);
});
