/** Conversion: what comes out draws and answers as the checkpoint does, and nothing half-written or broken loads. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine } from "../../../core/engine/types.ts";
import { convert, type ConvertSource } from "../../../core/model/convert/convert.ts";
import type { ConvertedPart, Dtype, Manifest } from "../../../core/model/convert/manifest.ts";
import { openStoredFolder } from "../../../core/model/convert/stored_folder.ts";
import { createModel } from "../../../core/model/model.ts";
import { openModel } from "../../../core/model/open_model.ts";
import type { Model } from "../../../core/model/types.ts";
import { relativeError } from "./parity.ts";
import { smallConfig, smallFiles, smallSource, smallTokenizer } from "./small_model.ts";

let engine: Engine;
let root: string;
beforeAll(async () => {
  engine = await openEngine({ provider: "cpu", threads: 1 });
});
afterAll(() => engine.close());
beforeEach(async () => {
  root = await Deno.makeTempDir();
});
afterEach(() => Deno.remove(root, { recursive: true }));

const ALL: readonly ConvertedPart[] = ["draw", "understand"];

function run(
  dtype: Dtype,
  parts = ALL,
  source = smallSource(),
  more: { fileLimit?: number; signal?: AbortSignal } = {},
) {
  return convert({ source, to: `${root}/out`, dtype, parts, engine, ...more });
}

const open = (parts?: Parameters<typeof openModel>[0]["parts"]) =>
  openModel({ folder: `${root}/out`, engine, ...(parts === undefined ? {} : { parts }) });

function plain(source: ConvertSource): Promise<Model> {
  return createModel({ ...source, tokenizer: smallTokenizer(), engine, parts: [] });
}

const rows = [0, 1].map((k) => Int32Array.from({ length: 11 }, (_, i) => 30 + 7 * i + k));
const ids = Uint16Array.from({ length: 64 }, (_, i) => i % 3 === 0 ? 41 : (i * 7) % 40);
const positions = Uint32Array.of(5, 63, 0, 17, 18, 41);
const picture = {
  width: 28,
  height: 28,
  data: Uint8Array.from({ length: 28 * 28 * 3 }, (_, i) => (i * 37) % 256),
};

/** Logits of a drawing, of an edit and of an answer after a picture, and decoded pixels. */
async function outputs(model: Model): Promise<Record<string, Float32Array>> {
  const cache = await model.prompt(rows);
  const drawn = await model.draw(cache, ids, positions);
  cache.release();
  const features = await model.understanding.look(picture);
  const image = new Int32Array(features.length / 64).fill(-200);
  const input = { ids: Int32Array.of(3, 4, ...image, 5, 1, 1), features };
  const words = await model.understanding.words(undefined, input, Uint32Array.of(input.ids.length - 1));
  const locations = await model.understanding.locations(undefined, input, Uint32Array.of(input.ids.length - 2));
  const pixels = Float32Array.from((await model.decode(ids.map((id) => id % 40))).data);
  return { drawn: Float32Array.from(drawn.flatMap((row) => [...row])), words, locations, pixels, features };
}

describe.each(["full", "prefix"])("%s attention", (attention) => {
  const keys = { prompt_attention: attention };
  // int4 of random numbers, which have no structure to keep, is about one part in ten off.
  test.each<[Dtype, number, number]>([["fp16", 0, 4e-3], ["int4", 1e-3, 0.4]])(
    "%s gives the checkpoint's numbers, as far as its bits go",
    async (dtype, least, most) => {
      const source = smallSource(keys);
      const manifest = await run(dtype, ALL, source);
      const reference = await plain(source);
      const expected = await outputs(reference);
      await reference.close();
      const model = await open();
      const found = await outputs(model);
      for (const [name, values] of Object.entries(expected)) {
        const error = relativeError(found[name] ?? [], values);
        expect(error, name).toBeLessThan(name === "pixels" ? 0.05 : most);
        if (["drawn", "words", "locations"].includes(name)) expect(error, name).toBeGreaterThan(least);
      }
      expect(await model.encode({ width: 32, height: 32, data: picture.data.slice(0, 3072).fill(9) })).toHaveLength(4);
      const bytes = new Map(manifest.graphs.map(({ name, weights }) => [name, weights]));
      for (const { graph, bytes: loaded } of model.loaded) expect(loaded, graph).toBe(bytes.get(graph));
      await model.close();
      expect(model.loaded).toEqual([]);
    },
  );
});

test("an edit's graphs are there", async () => {
  const source = smallSource({ prompt_attention: "prefix" });
  await run("fp16", ["draw"], source);
  const [model, reference] = [await open(), await plain(source)];
  const source_id = model.tokenizer.id("<|reserved_token_6|>");
  const prompts = rows.map((row) =>
    Int32Array.of(...row.subarray(0, 4), ...new Array<number>(16).fill(source_id), ...row.subarray(4))
  );
  const codes = ids.map((id) => id % 40);
  const drawn = async (each: Model) => {
    const cache = await each.prompt(prompts, undefined, { source: { ids: codes } });
    const logits = await each.draw(cache, ids, positions);
    cache.release();
    return Float32Array.from(logits.flatMap((row) => [...row]));
  };
  expect(relativeError(await drawn(model), await drawn(reference))).toBeLessThan(4e-3);
  await model.close();
  await reference.close();
});

describe("parts", () => {
  test("drawing loads its three graphs and nothing else", async () => {
    await run("int4", ALL, smallSource({ prompt_attention: "prefix" }));
    const model = await open();
    expect(model.loaded.map(({ graph }) => graph).sort()).toEqual(["draw_prefix", "prompt", "vq_decode"]);
    await model.close();
  });

  test("understanding loads nothing of drawing", async () => {
    await run("fp16", ["understand"]);
    const model = await open(["language", "head", "vision"]);
    expect(model.loaded).toEqual([]);
    await model.understanding.words(undefined, { ids: Int32Array.of(3, 1) }, Uint32Array.of(1));
    expect(model.loaded.map(({ graph }) => graph).sort()).toEqual(["text_head", "text_step"]);
    await expect(model.prompt(rows).then((cache) => model.draw(cache, ids, positions))).rejects.toMatchObject({
      code: "part_missing",
      message: "the converted folder has no graph draw_full; it holds understand",
    });
    await model.close();
    await expect(open()).rejects.toMatchObject({
      code: "part_missing",
      message: "the converted folder has no part draw; it holds understand",
    });
  });

  test("a folder for drawing refuses to answer", async () => {
    await run("fp16", ["draw"]);
    const model = await open();
    const words = model.understanding.words(undefined, { ids: Int32Array.of(3, 1) }, Uint32Array.of(1));
    await expect(words).rejects.toMatchObject({
      code: "part_missing",
      message: "the converted folder has no graph text_head; it holds draw",
    });
    await model.close();
  });
});

describe("files", () => {
  test("stay below the limit, hold a weight of two graphs once, and keep their checksums", async () => {
    const manifest = await run("int4", ALL, smallSource(), { fileLimit: 120_000 });
    const data = manifest.files.filter(({ name }) => name.endsWith(".bin"));
    expect(data.length).toBeGreaterThan(3);
    for (const { bytes } of data) expect(bytes).toBeLessThanOrEqual(120_000);
    const weights = manifest.graphs.reduce((sum, graph) => sum + graph.weights, 0);
    const stored = data.reduce((sum, { bytes }) => sum + bytes, 0);
    // The joint layer's text side, which draws and answers.
    expect(stored).toBeLessThan(weights - 3 * 64 * 64 / 2);
    const folder = await openStoredFolder(`${root}/out`, { verify: true });
    expect(folder.manifest).toEqual(manifest);
    expect(folder.manifest.source.fingerprint).toBe("test:small");
    await folder.close();
  });

  test("convert twice to the same bytes", async () => {
    const first = await run("int4");
    await Deno.rename(`${root}/out`, `${root}/first`);
    expect((await run("int4")).files).toEqual(first.files);
  });
});

describe("nothing half-written loads", () => {
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
    void run("fp16", ALL, source);
    await reached;
    await expect(open()).rejects.toMatchObject({ code: "folder_missing" });
    const half = openModel({ folder: `${root}/out.converting`, engine });
    await expect(half).rejects.toMatchObject({
      code: "file_missing",
      message: "config.json is not in the model folder",
    });
    await expect(run("fp16")).rejects.toMatchObject({
      code: "conversion_unfinished",
      message: expect.stringContaining("out.converting is there: a conversion to this folder was killed"),
    });
  });

  test("killed before the manifest: all the rest is there, and is no model", async () => {
    await run("fp16");
    await Deno.remove(`${root}/out/unmask.json`);
    await expect(open()).rejects.toMatchObject({ code: "file_missing", message: "model.safetensors cannot be opened" });
  });

  test("interrupted: nothing is left", async () => {
    const controller = new AbortController();
    const converting = convert({
      source: smallSource(),
      to: `${root}/out`,
      dtype: "int4",
      parts: ALL,
      engine,
      signal: controller.signal,
      onProgress: (what) => what === "vq_decode" && controller.abort(new Error("stop")),
    });
    await expect(converting).rejects.toThrow("stop");
    expect(await Array.fromAsync(Deno.readDir(root))).toEqual([]);
  });

  test("a weight that fp16 cannot hold stops it, by name", async () => {
    const source = smallSource();
    const name = "model.transformer.blocks.0.attn_norm.weight";
    const weights = {
      ...source.weights,
      read: async (asked: string) => asked === name ? new Float32Array(64).fill(1e6) : await source.weights.read(asked),
    };
    await expect(run("fp16", ALL, { ...source, weights })).rejects.toMatchObject({
      code: "weight_out_of_range",
      message: `the checkpoint cannot be converted: ${name} holds 1000000, which fp16 does not`,
    });
    expect(await Array.fromAsync(Deno.readDir(root))).toEqual([]);
  });

  test("a folder with something in it is left alone", async () => {
    await Deno.mkdir(`${root}/out`);
    await Deno.writeTextFile(`${root}/out/thesis.txt`, "");
    await expect(run("fp16")).rejects.toMatchObject({ code: "output_exists" });
    expect((await Array.fromAsync(Deno.readDir(root))).map(({ name }) => name)).toEqual(["out"]);
  });
});

describe("broken folders", () => {
  const out = (name: string) => `${root}/out/${name}`;
  const edit = async (change: (manifest: Manifest & Record<string, unknown>) => void) => {
    const manifest = JSON.parse(await Deno.readTextFile(out("unmask.json")));
    change(manifest);
    await Deno.writeTextFile(out("unmask.json"), JSON.stringify(manifest));
  };
  const flip = async (name: string) => {
    const bytes = await Deno.readFile(out(name));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await Deno.writeFile(out(name), bytes);
  };
  const first = <T>(list: T[]): T => list[0] ?? expect.unreachable();

  test.each<[string, () => Promise<unknown>, string, string]>([
    [
      "a truncated file",
      () => Deno.truncate(out("weights.0.bin"), 1000),
      "file_truncated",
      "weights.0.bin has 1000 bytes, ",
    ],
    [
      "a missing file",
      () => Deno.remove(out("weights.0.bin")),
      "file_missing",
      "weights.0.bin is not in the model folder",
    ],
    ["a changed graph", () => flip("draw_full.onnx"), "checksum_mismatch", "draw_full.onnx has checksum "],
    [
      "a manifest that is no JSON",
      () => Deno.writeTextFile(out("unmask.json"), "{"),
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
      () => Deno.writeFile(out("config.json"), smallFiles({ vocab_size: 2467 }).get("config.json") ?? new Uint8Array()),
      "tensor_shape",
      "tables.safetensors: tensor model.transformer.wte.weight is [2466,64], config.json asks for [2467,64]",
    ],
  ])("%s", async (_, spoil, code, words) => {
    await run("fp16", ["draw"]);
    await spoil();
    await expect(open()).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  });

  test("changed weights show when they are looked at", async () => {
    await run("fp16", ["draw"]);
    await flip("weights.0.bin");
    const seen: number[] = [];
    const verify = openStoredFolder(`${root}/out`, { verify: true, onProgress: (done) => seen.push(done) });
    await expect(verify).rejects.toMatchObject({
      code: "checksum_mismatch",
      message: expect.stringContaining("weights.0.bin has checksum "),
    });
    expect(seen.length).toBeGreaterThan(0);
  });
});

test("unconverted, drawing reads neither the LM head nor the text side of split layers nor vision", async () => {
  for (const attention of ["full", "prefix"]) {
    const config = smallConfig({ prompt_attention: attention });
    const source = smallSource({ prompt_attention: attention });
    const read = new Set<string>();
    const note = <T>(name: string, value: Promise<T>) => (read.add(name), value);
    const weights = {
      ...source.weights,
      read: (name: string) => note(name, source.weights.read(name)),
      readRows: (name: string, first: number, count: number) => {
        if (name.endsWith("attn_out.weight")) expect([first, count]).toEqual([0, config.dModelGen]);
        return note(name, source.weights.readRows(name, first, count));
      },
    };
    const model = await createModel({ ...source, weights, tokenizer: smallTokenizer(), engine });
    await model.prompt(rows);
    const text = /^model\.transformer\.blocks\.(\d+)\.(?!.*_vision\.)(.*)\.weight$/;
    const used = [...read].map((name) => text.exec(name)).filter((match) => match !== null);
    // Layer 0 is the only joint one: keys and values alone; of split layers the shared output projection's first rows.
    const expected = ["0.attn_norm", "0.k_proj", "0.v_proj", "0.attn_out", "1.attn_out", "2.attn_out"];
    expect(used.map(([, layer, name]) => `${layer}.${name}`).sort()).toEqual(expected.sort());
    const others = [...read].filter((name) =>
      /transformer\.ff_out|vision_tower|mm_projector|resampler|newline|encoder/.test(name)
    );
    expect(others).toEqual([]);
    await model.close();
  }
});
