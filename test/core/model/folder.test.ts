/** Opening a model folder: the good one, and every bad one with its error. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseConfig } from "../../../core/model/config.ts";
import { openFolder } from "../../../core/model/folder.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { readJson } from "./parity.ts";
import { encode, floats, type Raw, withHeader } from "./safetensors_bytes.ts";

const INDEX = "model.safetensors.index.json";

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
