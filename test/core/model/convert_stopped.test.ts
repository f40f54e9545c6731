/** Conversions that end half-way leave nothing that loads. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConvertSource } from "../../../core/model/convert/convert.ts";
import { openModel } from "../../../core/model/open_model.ts";
import { ALL, Converting } from "./converting.ts";
import { smallSource } from "./small_model.ts";

let converting: Converting;
beforeEach(async () => {
  converting = await Converting.begin();
});
afterEach(() => converting.end());

/** Reads go on until the given one, which never answers: the state of a conversion that is killed there. */
function stuck(at: number): { source: ConvertSource; reached: Promise<void> } {
  const source = smallSource();
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  let reads = 0;
  const wait = <T>(then: () => Promise<T>): Promise<T> => {
    if (++reads !== at) return then();
    resolve();
    return new Promise(() => {});
  };
  const weights = {
    ...source.weights,
    read: (name: string) => wait(() => source.weights.read(name)),
    readRows: (name: string, first: number, count: number) => wait(() => source.weights.readRows(name, first, count)),
  };
  return { source: { ...source, weights }, reached };
}

test.each([1, 20, 60])("killed at read %i", async (at) => {
  const { source, reached } = stuck(at);
  void converting.run("fp16", ALL, source);
  await reached;
  await expect(converting.open()).rejects.toMatchObject({ code: "folder_missing" });
  const half = openModel({ folder: `${converting.root}/out.converting`, engine: converting.engine });
  await expect(half).rejects.toMatchObject({
    code: "file_missing",
    message: "config.json is not in the model folder",
  });
  await expect(converting.run("fp16")).rejects.toMatchObject({
    code: "conversion_unfinished",
    message: expect.stringContaining("out.converting is there: a conversion to this folder was killed"),
  });
});

test("killed before the manifest: all the rest is there, and is no model", async () => {
  await converting.run("fp16");
  await Deno.remove(`${converting.root}/out/unmask.json`);
  await expect(converting.open()).rejects.toMatchObject({
    code: "file_missing",
    message: "model.safetensors cannot be opened",
  });
});

test("interrupted: nothing is left", async () => {
  const controller = new AbortController();
  const interrupted = converting.run("int4", ALL, smallSource(), {
    signal: controller.signal,
    onProgress: (what) => what === "vq_decode" && controller.abort(new Error("stop")),
  });
  await expect(interrupted).rejects.toThrow("stop");
  expect(await Array.fromAsync(Deno.readDir(converting.root))).toEqual([]);
});

test("a weight that fp16 cannot hold stops it, by name", async () => {
  const source = smallSource();
  const name = "model.transformer.blocks.0.attn_norm.weight";
  const weights = {
    ...source.weights,
    read: async (asked: string) => asked === name ? new Float32Array(64).fill(1e6) : await source.weights.read(asked),
  };
  await expect(converting.run("fp16", ALL, { ...source, weights })).rejects.toMatchObject({
    code: "weight_out_of_range",
    message: `the checkpoint cannot be converted: ${name} holds 1000000, which fp16 does not`,
  });
  expect(await Array.fromAsync(Deno.readDir(converting.root))).toEqual([]);
});

test("a folder with something in it is left alone", async () => {
  await Deno.mkdir(`${converting.root}/out`);
  await Deno.writeTextFile(`${converting.root}/out/thesis.txt`, "");
  await expect(converting.run("fp16")).rejects.toMatchObject({ code: "output_exists" });
  expect((await Array.fromAsync(Deno.readDir(converting.root))).map(({ name }) => name)).toEqual(["out"]);
});
