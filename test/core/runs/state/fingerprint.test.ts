import { expect, test } from "vitest";
import { fingerprint, type Numerics, weightsHash } from "../../../../core/runs/state/fingerprint.ts";

const numerics: Numerics = {
  weights: "00",
  provider: "cpu",
  runtime: "onnxruntime-node 1.30.0",
  device: "a processor",
  threads: 2,
};

test("everything that a result's bits depend on changes it, and nothing else does", () => {
  const same = fingerprint(numerics);
  expect(same).toMatch(/^[0-9a-f]{16}$/);
  expect(fingerprint({ ...numerics })).toBe(same);
  const others = [
    { weights: "01" },
    { provider: "webgpu" },
    { runtime: "onnxruntime-node 1.31.0" },
    { device: "another" },
    { threads: 1 },
  ].map((change) => fingerprint({ ...numerics, ...change }));
  expect(new Set([same, ...others]).size).toBe(others.length + 1);
});

test("of weights: every byte and name of a model's files, but no other file's", async () => {
  const folder = await Deno.makeTempDir({ prefix: "unmask-weights-" });
  try {
    await Deno.mkdir(`${folder}/vqvae`);
    const write = (name: string, text: string) => Deno.writeTextFile(`${folder}/${name}`, text);
    await write("config.json", "{}");
    await write("model.safetensors", "weights");
    await write("vqvae/model.safetensors", "codes");
    const first = await weightsHash(folder);
    await write("README.md", "words");
    expect(await weightsHash(folder)).toBe(first);
    await write("vqvae/model.safetensors", "kodes");
    const other = await weightsHash(folder);
    expect(other).not.toBe(first);
    await write("vqvae/model.safetensors", "codes");
    expect(await weightsHash(folder)).toBe(first);
    await Deno.rename(`${folder}/model.safetensors`, `${folder}/model-1.safetensors`);
    expect(await weightsHash(folder)).not.toBe(first);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
