/** Conversion: what comes out draws and answers as the checkpoint does, and is loaded part by part. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConvertSource } from "../../../core/model/convert/convert.ts";
import type { Dtype } from "../../../core/model/convert/manifest.ts";
import { openStoredFolder } from "../../../core/model/convert/stored_folder.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Model } from "../../../core/model/types.ts";
import { ALL, Converting } from "./converting.ts";
import { relativeError } from "./parity.ts";
import { smallConfig, smallSource, smallTokenizer } from "./small_model.ts";

let converting: Converting;
beforeEach(async () => {
  converting = await Converting.begin();
});
afterEach(() => converting.end());

function plain(source: ConvertSource): Promise<Model> {
  return createModel({ ...source, tokenizer: smallTokenizer(), engine: converting.engine, parts: [] });
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
      const manifest = await converting.run(dtype, ALL, source);
      const reference = await plain(source);
      const expected = await outputs(reference);
      await reference.close();
      const model = await converting.open();
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
  await converting.run("fp16", ["draw"], source);
  const [model, reference] = [await converting.open(), await plain(source)];
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
    await converting.run("int4", ALL, smallSource({ prompt_attention: "prefix" }));
    const model = await converting.open();
    expect(model.loaded.map(({ graph }) => graph).sort()).toEqual(["draw_prefix", "prompt", "vq_decode"]);
    await model.close();
  });

  test("understanding loads nothing of drawing", async () => {
    await converting.run("fp16", ["understand"]);
    const model = await converting.open(["language", "head", "vision"]);
    expect(model.loaded).toEqual([]);
    await model.understanding.words(undefined, { ids: Int32Array.of(3, 1) }, Uint32Array.of(1));
    expect(model.loaded.map(({ graph }) => graph).sort()).toEqual(["text_head", "text_step"]);
    await expect(model.prompt(rows).then((cache) => model.draw(cache, ids, positions))).rejects.toMatchObject({
      code: "part_missing",
      message: "the converted folder has no graph draw_full; it holds understand",
    });
    await model.close();
    await expect(converting.open()).rejects.toMatchObject({
      code: "part_missing",
      message: "the converted folder has no part draw; it holds understand",
    });
  });

  test("a folder for drawing refuses to answer", async () => {
    await converting.run("fp16", ["draw"]);
    const model = await converting.open();
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
    const manifest = await converting.run("int4", ALL, smallSource(), { fileLimit: 120_000 });
    const data = manifest.files.filter(({ name }) => name.endsWith(".bin"));
    expect(data.length).toBeGreaterThan(3);
    for (const { bytes } of data) expect(bytes).toBeLessThanOrEqual(120_000);
    const weights = manifest.graphs.reduce((sum, graph) => sum + graph.weights, 0);
    const stored = data.reduce((sum, { bytes }) => sum + bytes, 0);
    // The joint layer's text side, which draws and answers.
    expect(stored).toBeLessThan(weights - 3 * 64 * 64 / 2);
    const folder = await openStoredFolder(`${converting.root}/out`, { verify: true });
    expect(folder.manifest).toEqual(manifest);
    expect(folder.manifest.source.fingerprint).toBe("test:small");
    await folder.close();
  });

  test("convert twice to the same bytes", async () => {
    const first = await converting.run("int4");
    await Deno.rename(`${converting.root}/out`, `${converting.root}/first`);
    expect((await converting.run("int4")).files).toEqual(first.files);
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
    const model = await createModel({ ...source, weights, tokenizer: smallTokenizer(), engine: converting.engine });
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
