/** The tensors that a configuration asks for: those of the parity model, and of the published one. */
import { expect, test } from "vitest";
import { memorySource } from "../../../core/model/byte_source.ts";
import { parseConfig } from "../../../core/model/config.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { PUBLISHED_CONFIG, PUBLISHED_VQ_CONFIG } from "../../../core/model/published.ts";
import { Safetensors } from "../../../core/model/safetensors.ts";
import { parityConfig, readJson } from "./parity.ts";

test("the parity file's tensors are the layout's, name by name and shape by shape", async () => {
  const { entries } = await Safetensors.open(
    memorySource(await Deno.readFile(new URL("../../parity/weights.safetensors", import.meta.url)), "weights"),
  );
  const layout = modelLayout(parityConfig());
  for (const [name, { dims }] of entries) expect(layout.get(name)?.dims, name).toEqual(dims);
  const tables = ["model.transformer.wte.weight", "model.transformer.ff_out.weight"];
  expect([...layout.keys()].filter((name) => !entries.has(name)).sort()).toEqual(tables.sort());
});

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

test("the published layout is 1266 tensors of 11,094,351,587 numbers", () => {
  expect(published.size).toBe(1266);
  expect([...published.values()].reduce((sum, dims) => sum + dims.reduce((a, b) => a * b, 1), 0)).toBe(11094351587);
});

test("it is what the published configuration asks for, name by name and shape by shape", () => {
  const own = new Map([...modelLayout(config)].map(([name, { dims }]) => [name, dims]));
  expect([...own.keys()].sort()).toEqual([...published.keys()].sort());
  for (const [name, dims] of published) expect(own.get(name), name).toEqual(dims);
});

test("its numbers by part are those of the published table", () => {
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
