/** Opening a model folder: the good one, and every bad one with its error. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openFolder } from "../../../core/model/folder.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { parseConfig } from "../../../core/model/config.ts";
import { memorySource } from "../../../core/model/byte_source.ts";
import { Safetensors } from "../../../core/model/safetensors.ts";
import { PUBLISHED_CONFIG, PUBLISHED_VQ_CONFIG } from "../../../core/model/published.ts";
import { parityConfig, readJson } from "./parity.ts";

const INDEX = "model.safetensors.index.json";

interface Raw {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  readonly data_offsets?: readonly [number, number];
}

/** A safetensors file, well-formed unless an entry brings offsets of its own. */
function encode(tensors: Readonly<Record<string, Raw>>): Uint8Array {
  let offset = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { data, ...entry }]) => {
      const data_offsets = entry.data_offsets ?? [offset, offset + data.byteLength];
      offset += data.byteLength;
      return [name, { ...entry, data_offsets }];
    }),
  );
  return withHeader(JSON.stringify(header), Object.values(tensors).map(({ data }) => data));
}

function withHeader(json: string, parts: readonly Uint8Array[] = [], length = json.length): Uint8Array {
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(length), true);
  return Uint8Array.from([prefix, new TextEncoder().encode(json), ...parts].flatMap((part) => [...part]));
}

const floats = (...values: number[]): Raw => ({
  dtype: "F32",
  shape: [values.length],
  data: new Uint8Array(Float32Array.from(values).buffer),
});

const openBytes = (bytes: Uint8Array) => Safetensors.open(memorySource(bytes, "a.safetensors"));

describe("safetensors", () => {
  test("fp32, fp16 and bf16 as fp32, rows and integers", async () => {
    const file = await openBytes(encode({
      single: floats(1.5, -2, 3.25, 4),
      half: { dtype: "F16", shape: [2], data: new Uint8Array(Uint16Array.of(0x3e00, 0xc000).buffer) },
      brain: { dtype: "BF16", shape: [2], data: new Uint8Array(Uint16Array.of(0x3fc0, 0xc000).buffer) },
      rows: { ...floats(1, 2, 3, 4, 5, 6), shape: [3, 2] },
      ids: { dtype: "I32", shape: [2], data: new Uint8Array(Int32Array.of(7, -8).buffer) },
    }));
    expect(await file.readFloat("single")).toEqual(Float32Array.of(1.5, -2, 3.25, 4));
    expect(await file.readFloat("half")).toEqual(Float32Array.of(1.5, -2));
    expect(await file.readFloat("brain")).toEqual(Float32Array.of(1.5, -2));
    expect(await file.readRows("rows", 1, 2)).toEqual(Float32Array.of(3, 4, 5, 6));
    expect(await file.readInteger("ids")).toEqual(Int32Array.of(7, -8));
    await expect(file.readFloat("none")).rejects.toMatchObject({ code: "tensor_missing" });
    await expect(file.readFloat("ids")).rejects.toMatchObject({ code: "dtype_unsupported" });
    await expect(file.readRows("rows", 2, 2)).rejects.toThrow("has 3 rows");
  });

  const four = floats(1);
  test.each<[string, Uint8Array, string, string]>([
    ["a file of 3 bytes", new Uint8Array(3), "safetensors_invalid", "it has 3 bytes"],
    ["a header beyond the bound", withHeader("{}", [], 100_000_001), "safetensors_invalid", "at most 100000000"],
    ["a header beyond the file", withHeader("{}", [], 99), "safetensors_invalid", "header ends at byte 107"],
    ["a header that is not JSON", withHeader("{..."), "safetensors_invalid", "not JSON"],
    ["an entry without shape", withHeader('{"w":{"dtype":"F32"}}'), "safetensors_invalid", "w.shape"],
    [
      "an unknown dtype",
      encode({ w: { ...four, dtype: "F8_E4M3" } }),
      "dtype_unsupported",
      "tensor w has dtype F8_E4M3",
    ],
    ["a shape that needs more", encode({ w: { ...four, shape: [2] } }), "safetensors_invalid", "needs 8 bytes"],
    ["offsets beyond the file", encode({ w: { ...four, data_offsets: [4, 8] } }), "safetensors_invalid", "truncated"],
    [
      "overlapping tensors",
      encode({ v: four, w: { ...four, data_offsets: [0, 4] } }),
      "safetensors_invalid",
      "tensors v and w overlap",
    ],
  ])("%s is refused", async (_, bytes, code, words) => {
    const error = await openBytes(bytes).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    expect(error).toMatchObject({ message: expect.stringContaining("a.safetensors") });
  });
});

describe("config", () => {
  const base = () => readJson("config.json");
  const vq = () => readJson("vqvae_config.json");

  test("the published keys and our defaults", () => {
    expect(parityConfig()).toMatchObject({
      jointLayers: 3,
      headSize: 16,
      vqMaskId: 8193,
      vqTableRows: 8448,
      grid: 64,
      promptAttention: "full",
      vision: { layers: 3, hidden: 32 },
      vq: { factor: 16, groups: 4, midBlockAttention: false },
    });
  });

  test.each<[Record<string, unknown>, string, string]>([
    [{ include_qkv_bias: true }, "config_unsupported", "include_qkv_bias is true; only false"],
    [{ n_kv_heads: 2 }, "config_unsupported", "n_kv_heads is 2; only 4"],
    [{ extra_gen_dit: true }, "config_unsupported", "extra_gen_dit"],
    [{ downsample: false }, "config_unsupported", "downsample"],
    [{ d_model: undefined }, "config_invalid", "d_model"],
    [{ n_heads: 0 }, "config_invalid", "n_heads"],
    [{ d_model: 66 }, "config_invalid", "even head size"],
    [{ dual_tower_layers: 6 }, "config_invalid", "leaves no layer"],
    // Not listed layer by layer until memory ends.
    [{ n_layers: 1e9 }, "config_invalid", "config.json: n_layers: Too big"],
    [{ vision_config: { num_hidden_layers: 1e9 } }, "config_invalid", "vision_config.num_hidden_layers: Too big"],
    [
      { mm_vision_select_layer: -5, vision_config: { num_hidden_layers: 4 } },
      "config_invalid",
      "mm_vision_select_layer -5 leaves no layer of 4",
    ],
    [{ vq_codes: 4096 }, "config_invalid", "num_vq_embeddings 8192"],
    [{ native_resolution: 100 }, "config_invalid", "native_resolution 100"],
  ])("%o is refused", (keys, code, words) => {
    const act = () => parseConfig({ ...base(), ...keys }, vq());
    expect(act).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
  });

  test.each<[Record<string, unknown>, string]>([
    [{ norm_type: "spatial" }, "norm_type"],
    [{ norm_num_groups: 3 }, "8 channels do not divide into 3 groups"],
    [{ block_out_channels: [8, 16] }, "names 2 blocks"],
    [{ down_block_types: ["AttnDownEncoderBlock2D"] }, "down_block_types"],
    [{ layers_per_block: 1e9 }, "layers_per_block: Too big"],
  ])("vqvae %o is refused", (keys, words) => {
    const act = () => parseConfig(base(), { ...vq(), ...keys });
    expect(act).toThrow(expect.objectContaining({ code: "config_invalid", message: expect.stringContaining(words) }));
  });

  test("the parity file's tensors are the layout's, name by name and shape by shape", async () => {
    const { entries } = await Safetensors.open(
      memorySource(await Deno.readFile(new URL("../../parity/weights.safetensors", import.meta.url)), "weights"),
    );
    const layout = modelLayout(parityConfig());
    for (const [name, { dims }] of entries) expect(layout.get(name)?.dims, name).toEqual(dims);
    const tables = ["model.transformer.wte.weight", "model.transformer.ff_out.weight"];
    expect([...layout.keys()].filter((name) => !entries.has(name)).sort()).toEqual(tables.sort());
  });
});

describe("the published layout", () => {
  const { tensors } = readJson("checkpoint_layout.json") as { tensors: Record<string, readonly number[]> };
  const published = new Map(
    Object.entries(tensors).flatMap(([name, dims]) => {
      const range = /^(.*)\{(\d+)\.\.(\d+)\}(.*)$/.exec(name);
      if (range === null) return [[name, dims] as const];
      const [, before = "", first = "", last = "", after = ""] = range;
      const count = Number(last) - Number(first) + 1;
      return Array.from({ length: count }, (_, i) => [`${before}${Number(first) + i}${after}`, dims] as const);
    }),
  );
  const config = parseConfig(PUBLISHED_CONFIG, PUBLISHED_VQ_CONFIG);

  test("is 1266 tensors of 11,094,351,587 numbers", () => {
    expect(published.size).toBe(1266);
    expect([...published.values()].reduce((sum, dims) => sum + dims.reduce((a, b) => a * b, 1), 0)).toBe(11094351587);
  });

  test("is what the published configuration asks for, name by name and shape by shape", () => {
    const own = new Map([...modelLayout(config)].map(([name, { dims }]) => [name, dims]));
    expect([...own.keys()].sort()).toEqual([...published.keys()].sort());
    for (const [name, dims] of published) expect(own.get(name), name).toEqual(dims);
  });

  test("numbers by part are those of the published table", () => {
    const parts: Record<string, number> = {};
    for (const { dims, part } of modelLayout(config).values()) {
      parts[part] = (parts[part] ?? 0) + dims.reduce((a, b) => a * b, 1);
    }
    const billions = Object.entries(parts).map(([part, count]) => [part, (count / 1e9).toFixed(2)]);
    // Facts 1.4: understanding 8.02 with its two tables, generation 2.416 + 0.084, SigLIP and projector 0.42, VQ 0.146.
    expect(Object.fromEntries(billions)).toEqual({
      language: "7.50",
      head: "0.52",
      generation: "2.50",
      vision: "0.42",
      vq: "0.15",
    });
  });
});

describe("folder", () => {
  const sizes = {
    d_model: 8,
    d_model_gen: 4,
    n_heads: 2,
    n_kv_heads: 2,
    n_layers: 2,
    dual_tower_layers: 0,
    vocab_size: 5,
  };
  const small = { embedding_size: 5, mlp_hidden_size: 4, mlp_hidden_size_gen: 4, vq_codes: 3, mm_vision_tower: null };
  const config = () => ({ ...readJson("config.json"), ...sizes, ...small });
  const vq = () => ({ ...readJson("vqvae_config.json"), num_vq_embeddings: 3 });
  let folder: string;
  let tensors: Record<string, Raw>;

  beforeEach(() => {
    folder = Deno.makeTempDirSync();
    Deno.mkdirSync(`${folder}/vqvae`);
    Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(config()));
    Deno.writeTextFileSync(`${folder}/vqvae/config.json`, JSON.stringify(vq()));
    tensors = {};
    for (const [name, { dims, part }] of modelLayout(parseConfig(config(), vq()))) {
      const count = dims.reduce((a, b) => a * b, 1);
      if (part !== "head") tensors[name] = { ...floats(...new Array<number>(count).fill(0.5)), shape: dims };
    }
  });
  afterEach(() => Deno.removeSync(folder, { recursive: true }));

  const write = (name: string, bytes: Uint8Array) => Deno.writeFileSync(`${folder}/${name}`, bytes);
  const ln = "model.transformer.ln_f.weight";

  const lnTensor = () => floats(...new Array<number>(8).fill(1));
  const index = (): { weight_map: Record<string, string> } => JSON.parse(Deno.readTextFileSync(`${folder}/${INDEX}`));
  /** All tensors in two shards with an index. */
  const shards = () => {
    const entries = Object.entries(tensors);
    const weight_map: Record<string, string> = {};
    for (const [i, half] of [entries.slice(0, 9), entries.slice(9)].entries()) {
      write(`model-${i}.safetensors`, encode(Object.fromEntries(half)));
      for (const [name] of half) weight_map[name] = `model-${i}.safetensors`;
    }
    Deno.writeTextFileSync(`${folder}/${INDEX}`, JSON.stringify({ weight_map }));
  };

  test("opens whole, without the head, and says which parts are there", async () => {
    write("model.safetensors", encode(tensors));
    const opened = await openFolder(folder);
    expect([...opened.parts].sort()).toEqual(["generation", "language", "vq"]);
    expect(opened.weights.dims(ln)).toEqual([8]);
    expect(await opened.weights.readRows(ln, 0, 2)).toEqual(Float32Array.of(0.5, 0.5));
    await opened.close();
    await expect(openFolder(folder, ["head"])).rejects.toMatchObject({ code: "tensor_missing" });
    await expect(openFolder(folder, ["vision"])).rejects.toMatchObject({ code: "part_missing" });
  });

  test("shards with an index, the VQ tokenizer in its own file under bare names", async () => {
    const entries = Object.entries(tensors);
    const isVq = (name: string) => name.startsWith("model.vqvae.");
    const main = entries.filter(([name]) => !isVq(name));
    const halves = [main.slice(0, 9), main.slice(9)];
    const weight_map: Record<string, string> = {};
    for (const [i, half] of halves.entries()) {
      write(`model-${i}.safetensors`, encode(Object.fromEntries(half)));
      for (const [name] of half) weight_map[name] = `model-${i}.safetensors`;
    }
    await Deno.writeTextFile(`${folder}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
    const bare = entries.filter(([name]) => isVq(name)).map(([name, raw]) => [name.slice(12), raw] as const);
    write("vqvae/diffusion_pytorch_model.safetensors", encode(Object.fromEntries(bare)));
    const opened = await openFolder(folder);
    expect(await opened.weights.read("model.vqvae.quant_conv.bias")).toEqual(new Float32Array(16).fill(0.5));
    await opened.close();
  });

  test.each<[string, () => void, string, string]>([
    ["no weights", () => {}, "file_missing", "model.safetensors"],
    ["no config", () => Deno.removeSync(`${folder}/config.json`), "file_missing", "config.json"],
    ["broken JSON", () => Deno.writeTextFileSync(`${folder}/config.json`, "{"), "json_invalid", "config.json"],
    [
      "a missing tensor",
      () => {
        delete tensors[ln];
        write("model.safetensors", encode(tensors));
      },
      "tensor_missing",
      `${ln} [8] is missing`,
    ],
    [
      "an unknown tensor",
      () => write("model.safetensors", encode({ ...tensors, extra: floats(1) })),
      "tensor_unknown",
      "extra [1]",
    ],
    [
      "a wrong shape",
      () => write("model.safetensors", encode({ ...tensors, [ln]: floats(1, 2) })),
      "tensor_shape",
      `model.safetensors: tensor ${ln} is [2], config.json asks for [8]`,
    ],
    [
      "a truncated file",
      () => write("model.safetensors", encode(tensors).slice(0, -5)),
      "safetensors_invalid",
      "truncated",
    ],
    [
      "an index out of the folder",
      () => {
        const weight_map = { [ln]: "../model.safetensors" };
        Deno.writeTextFileSync(`${folder}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
      },
      "index_invalid",
      "../model.safetensors",
    ],
    [
      "an index that lies",
      () => {
        write("a.safetensors", encode({ [ln]: floats(...new Array<number>(8).fill(1)) }));
        const weight_map = { [ln]: "a.safetensors", "model.image_newline": "a.safetensors" };
        Deno.writeTextFileSync(`${folder}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
      },
      "tensor_missing",
      "model.image_newline; it is nowhere",
    ],
    [
      "a truncated shard",
      () => {
        shards();
        write("model-1.safetensors", Deno.readFileSync(`${folder}/model-1.safetensors`).slice(0, -6));
      },
      "safetensors_invalid",
      "model-1.safetensors: tensor",
    ],
    [
      "a shard that is not there",
      () => {
        shards();
        Deno.removeSync(`${folder}/model-1.safetensors`);
      },
      "file_missing",
      "model-1.safetensors cannot be opened",
    ],
    [
      "a shard that is a folder",
      () => {
        shards();
        Deno.removeSync(`${folder}/model-1.safetensors`);
        Deno.mkdirSync(`${folder}/model-1.safetensors`);
      },
      "file_missing",
      "model-1.safetensors is not a file",
    ],
    [
      "a tensor in two shards",
      () => {
        shards();
        const weight_map = { ...index().weight_map, [ln]: "twice.safetensors" };
        write("twice.safetensors", encode({ [ln]: floats(...new Array<number>(8).fill(1)) }));
        Deno.writeTextFileSync(`${folder}/${INDEX}`, JSON.stringify({ weight_map }));
      },
      "tensor_unknown",
      `tensor ${ln} is in model-`,
    ],
    [
      "an index without a map",
      () => Deno.writeTextFileSync(`${folder}/${INDEX}`, JSON.stringify({ weights: [] })),
      "index_invalid",
      "has no weight_map",
    ],
    [
      "a dtype that nobody knows",
      () => write("model.safetensors", encode({ ...tensors, [ln]: { ...lnTensor(), dtype: "F8_E5M2" } })),
      "dtype_unsupported",
      `model.safetensors: tensor ${ln} has dtype F8_E5M2`,
    ],
    [
      "a dtype that is no weight's",
      () => write("model.safetensors", encode({ ...tensors, [ln]: { ...lnTensor(), dtype: "I32" } })),
      "dtype_unsupported",
      `model.safetensors: tensor ${ln} is I32; F32, F16 and BF16 are read`,
    ],
    [
      "a feature that is not built",
      () => Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify({ ...config(), unified_gen_enc: true })),
      "config_unsupported",
      "config.json: unified_gen_enc is true; only false is built",
    ],
    [
      "a VQ tokenizer that is not built",
      () => Deno.writeTextFileSync(`${folder}/vqvae/config.json`, JSON.stringify({ ...vq(), norm_type: "spatial" })),
      "config_invalid",
      "vqvae/config.json: norm_type",
    ],
    [
      "a header beyond the bound",
      () => write("model.safetensors", withHeader("{}", [], 100_000_001)),
      "safetensors_invalid",
      "model.safetensors: its header claims 100000001 bytes, at most 100000000 are read",
    ],
    [
      "offsets beyond the file",
      () => write("model.safetensors", encode({ ...tensors, [ln]: { ...lnTensor(), data_offsets: [1e9, 1e9 + 32] } })),
      "safetensors_invalid",
      `model.safetensors: tensor ${ln} ends at byte`,
    ],
    [
      "offsets that run backwards",
      () => write("model.safetensors", encode({ ...tensors, [ln]: { ...lnTensor(), data_offsets: [32, 0] } })),
      "safetensors_invalid",
      `tensor ${ln} [8] F32 needs 32 bytes, its offsets span -32`,
    ],
    [
      "offsets into another tensor",
      () => write("model.safetensors", encode({ ...tensors, [ln]: { ...lnTensor(), data_offsets: [0, 32] } })),
      "safetensors_invalid",
      "overlap",
    ],
  ])("%s", async (_, spoil, code, words) => {
    spoil();
    const error = await openFolder(folder).then(async (opened) => {
      await opened.close();
      return undefined;
    }, (caught: unknown) => caught);
    expect(error).toMatchObject({ code, message: expect.stringContaining(words), fix: expect.stringMatching(/\w/) });
    // Nothing half-loaded: no file of the folder is still open.
    if (Deno.build.os !== "linux") return;
    const open = (await Array.fromAsync(Deno.readDir("/proc/self/fd"))).map(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return ""; // closed meanwhile
      }
    });
    expect(open.filter((path) => path.startsWith(folder))).toEqual([]);
  });

  test.each([
    "../model.safetensors",
    "/etc/model.safetensors",
    "a/b.safetensors",
    "a\\b.safetensors",
    "..\\model.safetensors",
    "C:model.safetensors",
    ".hidden.safetensors",
    "model.safetensors\u0000.safetensors",
    "model.safetensors\n",
    "model .safetensors",
    "model.bin",
    "",
  ])("an index that names %j", async (name) => {
    await Deno.writeTextFile(`${folder}/${INDEX}`, JSON.stringify({ weight_map: { [ln]: name } }));
    await expect(openFolder(folder)).rejects.toMatchObject({
      code: "index_invalid",
      message: `model.safetensors.index.json names ${
        JSON.stringify(name)
      }, which is not a plain file name ending in .safetensors`,
    });
  });

  test("names that are properties of every object are names like others", async () => {
    const odd = { ...tensors, constructor: floats(1) };
    write("model.safetensors", encode(odd));
    await expect(openFolder(folder)).rejects.toMatchObject({
      code: "tensor_unknown",
      message: "model.safetensors: tensor constructor [1] belongs to nothing that config.json describes",
    });
    await Deno.writeTextFile(`${folder}/${INDEX}`, '{"weight_map":{"__proto__":"model.safetensors"}}');
    await expect(openFolder(folder)).rejects.toMatchObject({ code: expect.stringMatching(/index_invalid|tensor/) });
  });

  test.each(["F16", "BF16"] as const)("a %s source gives its numbers as fp32", async (dtype) => {
    const narrow = (raw: Raw): Raw => {
      const values = new Float32Array(Uint8Array.from(raw.data).buffer);
      const words = dtype === "F16"
        ? new Uint16Array(Float16Array.from(values).buffer)
        : Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
      return { ...raw, dtype, data: new Uint8Array(words.buffer) };
    };
    write("model.safetensors", encode(Object.fromEntries(Object.entries(tensors).map(([n, raw]) => [n, narrow(raw)]))));
    const opened = await openFolder(folder);
    expect(await opened.weights.read(ln)).toEqual(new Float32Array(8).fill(0.5));
    await opened.close();
  });

  test("no folder", async () => {
    await expect(openFolder(`${folder}/none`)).rejects.toMatchObject({ code: "folder_missing" });
  });
});
