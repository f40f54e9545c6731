/** `deno task convert`, from a folder in the published layout to one that opens. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { convertCommand } from "../../commands/convert.ts";
import { openStoredFolder } from "../../core/model/convert/stored_folder.ts";
import { writeSmallFolder } from "../core/model/small_model.ts";
import { collect } from "./collect.ts";

let root: string;
beforeEach(async () => {
  root = await Deno.makeTempDir();
});
afterEach(() => Deno.remove(root, { recursive: true }));

const call = (...args: string[]) => collect(convertCommand, args);

test("converts, says what it made, and checks it", async () => {
  await writeSmallFolder(`${root}/in`);
  const { code, stdout, stderr } = await call(
    "--from",
    `${root}/in`,
    "--to",
    `${root}/out`,
    "--dtype",
    "int4",
    "--json",
  );
  expect(stderr).toContain("draw_full, MB");
  expect(stderr).toContain(`${root}/out: `);
  expect(code).toBe(0);
  const line = JSON.parse(stdout);
  expect(line).toMatchObject({ to: `${root}/out`, dtype: "int4", parts: ["draw", "understand"] });
  const folder = await openStoredFolder(`${root}/out`, { need: ["draw", "understand"] });
  await folder.close();
  expect(line.bytes).toBe(folder.manifest.files.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(folder.manifest.source.fingerprint).toMatch(/^sha256:[0-9a-f]{64}$/);

  expect(await call("--verify", `${root}/out`)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("as they were written"),
  });
  await Deno.truncate(`${root}/out/weights.0.bin`, 10);
  expect(await call("--verify", `${root}/out`)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("file_truncated"),
  });
  // Twice the same checkpoint: the same fingerprint. One weight changed: another.
  await Deno.remove(`${root}/out`, { recursive: true });
  const again = async () => {
    await call("--from", `${root}/in`, "--to", `${root}/out`, "--dtype", "fp16", "--parts", "draw");
    const { manifest, close } = await openStoredFolder(`${root}/out`);
    await close();
    await Deno.remove(`${root}/out`, { recursive: true });
    return manifest.source.fingerprint;
  };
  expect(await again()).toBe(folder.manifest.source.fingerprint);
  const weights = await Deno.readFile(`${root}/in/model.safetensors`);
  weights[weights.length - 3] = (weights.at(-3) ?? 0) ^ 1;
  await Deno.writeFile(`${root}/in/model.safetensors`, weights);
  expect(await again()).not.toBe(folder.manifest.source.fingerprint);
});

describe("refusals", () => {
  test.each<[string[], string, string]>([
    [["--to", "x", "--dtype", "fp16"], "flag_missing", "--from is missing"],
    [["--from", "x", "--dtype", "fp16"], "flag_missing", "--to is missing"],
    [["--from", "x", "--to", "y"], "flag_missing", "--dtype is missing"],
    [["--from", "x", "--to", "y", "--dtype", "int8"], "flag_unknown_value", "--dtype cannot be int8"],
    [
      ["--from", "x", "--to", "y", "--dtype", "fp16", "--parts", "head"],
      "flag_unknown_value",
      "--parts cannot be head",
    ],
    [["x", "--to", "y", "--dtype", "fp16"], "argument_unknown", "x belongs to no flag"],
    [
      ["--from", "/nonexistent", "--to", "y", "--dtype", "fp16"],
      "file_missing",
      "tokenizer.json is not in the model folder",
    ],
  ])("%j", async (args, code, words) => {
    const { code: exit, stdout, stderr } = await call(...args, "--json");
    expect(exit).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code, message: words } });
    expect(stderr).toContain(words);
  });

  test("a folder that is converted, and a part that it does not have", async () => {
    await writeSmallFolder(`${root}/in`);
    const from = ["--from", `${root}/in`, "--dtype", "fp16"];
    expect((await call(...from, "--to", `${root}/out`, "--parts", "draw")).code).toBe(0);
    expect(await call("--from", `${root}/out`, "--to", `${root}/again`, "--dtype", "int4")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("is converted already"),
    });
    expect(await call(...from, "--to", `${root}/out`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("output_exists"),
    });
  });
});
