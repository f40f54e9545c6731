/** Converted folders that were spoilt: each is refused by name. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Manifest } from "../../../core/model/convert/manifest.ts";
import { openStoredFolder } from "../../../core/model/convert/stored_folder.ts";
import { Converting } from "./converting.ts";
import { smallFiles } from "./small_model.ts";

let converting: Converting;
beforeEach(async () => {
  converting = await Converting.begin();
});
afterEach(() => converting.end());

const edit = async (change: (manifest: Manifest & Record<string, unknown>) => void) => {
  const manifest = JSON.parse(await Deno.readTextFile(converting.out("unmask.json")));
  change(manifest);
  await Deno.writeTextFile(converting.out("unmask.json"), JSON.stringify(manifest));
};
const flip = async (name: string) => {
  const bytes = await Deno.readFile(converting.out(name));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await Deno.writeFile(converting.out(name), bytes);
};
const first = <T>(list: T[]): T => list[0] ?? expect.unreachable();

test.each<[string, () => Promise<unknown>, string, string]>([
  [
    "a truncated file",
    () => Deno.truncate(converting.out("weights.0.bin"), 1000),
    "file_truncated",
    "weights.0.bin has 1000 bytes, ",
  ],
  [
    "a missing file",
    () => Deno.remove(converting.out("weights.0.bin")),
    "file_missing",
    "weights.0.bin is not in the model folder",
  ],
  ["a changed graph", () => flip("draw_full.onnx"), "checksum_mismatch", "draw_full.onnx has checksum "],
  [
    "a manifest that is no JSON",
    () => Deno.writeTextFile(converting.out("unmask.json"), "{"),
    "json_invalid",
    "unmask.json is not JSON",
  ],
  ["another format", () => edit((m) => m["format"] = "onnx" as never), "manifest_invalid", "unmask.json: format: "],
  [
    "another version",
    () => edit((m) => m.graph_version = 999),
    "converted_elsewhere",
    "written for graphs of version 999, here they have version 1",
  ],
  [
    "a graph outside",
    () => edit((m) => first(m.graphs).model = "../draw_full.onnx"),
    "manifest_invalid",
    "unmask.json: graphs.0.model: is not a plain file name",
  ],
  [
    "data outside",
    () => edit((m) => first(m.graphs).data = ["/etc/passwd"]),
    "manifest_invalid",
    "unmask.json: graphs.0.data.0: is not a plain file name",
  ],
  [
    "a file outside",
    () => edit((m) => first(m.files).name = "a\\b"),
    "manifest_invalid",
    "unmask.json: files.0.name: is not a plain file name",
  ],
  [
    "data that nobody checked",
    () => edit((m) => first(m.graphs).data = ["config.json"]),
    "manifest_invalid",
    "graph draw_full needs config.json, which is not among its files",
  ],
  [
    "another model's configuration",
    () =>
      Deno.writeFile(
        converting.out("config.json"),
        smallFiles({ vocab_size: 2467 }).get("config.json") ?? new Uint8Array(),
      ),
    "tensor_shape",
    "tables.safetensors: tensor model.transformer.wte.weight is [2466,64], config.json asks for [2467,64]",
  ],
])("%s", async (_, spoil, code, words) => {
  await converting.run("fp16", ["draw"]);
  await spoil();
  await expect(converting.open()).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
});

test("changed weights show when they are looked at", async () => {
  await converting.run("fp16", ["draw"]);
  await flip("weights.0.bin");
  const seen: number[] = [];
  const verify = openStoredFolder(`${converting.root}/out`, { verify: true, onProgress: (done) => seen.push(done) });
  await expect(verify).rejects.toMatchObject({
    code: "checksum_mismatch",
    message: expect.stringContaining("weights.0.bin has checksum "),
  });
  expect(seen.length).toBeGreaterThan(0);
});
