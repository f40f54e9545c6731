/**
 * Every graph on every provider of core/engine. The engine forbids nodes that the provider would hand to the CPU, so
 * loading at all is the proof that each operator is there. WebGPU needs an adapter, be it a software one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, Graph, HostTensor } from "../../../core/engine/types.ts";
import type { ModelConfig } from "../../../core/model/config.ts";
import { drawGraph } from "../../../core/model/graphs/draw.ts";
import { foldGraph } from "../../../core/model/graphs/fold_tables.ts";
import { promptGraph } from "../../../core/model/graphs/prompt.ts";
import { sourcePromptGraph } from "../../../core/model/graphs/source_prompt.ts";
import { headGraph } from "../../../core/model/graphs/text_head.ts";
import { textGraph } from "../../../core/model/graphs/text_step.ts";
import { visionProjectGraph } from "../../../core/model/graphs/vision_project.ts";
import { visionTowerGraph } from "../../../core/model/graphs/vision_tower.ts";
import { vqDecodeGraph } from "../../../core/model/graphs/vq_decode.ts";
import { vqEncodeGraph } from "../../../core/model/graphs/vq_encode.ts";
import { foldedRows } from "../../../core/model/graphs/vq_tokens.ts";
import { GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { rotaryTables, rotate } from "../../../kernels/onnx/layers.ts";
import { IMAGE_ID } from "../../../core/model/chat_template.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Tokenizer } from "../../../core/model/types.ts";
import { hostFloats } from "../../../core/model/outputs.ts";
import { requireVision } from "../../../core/model/vision.ts";
import type { TensorSource } from "../../../core/model/weights.ts";
import { standInTokenizer } from "../../../commands/parity/stand_in_tokenizer.ts";
import { nodeEngine } from "./node_engine.ts";
import { parityConfig, parityWeights, relativeError } from "./parity.ts";

const tokenizer = {} as Tokenizer; // ids are given
const ids = Uint16Array.from({ length: 64 }, (_, i) => i % 3 === 0 ? 8193 : (i * 977) % 8192);
const positions = Uint32Array.of(5, 63, 0, 17, 18, 41);
const rows = [0, 1].map((k) => Int32Array.from({ length: 20 }, (_, i) => 1000 + 37 * i + k));

/** All zeros in the right shapes: enough for loading. */
function zeros(config: ModelConfig): TensorSource {
  const layout = modelLayout(config);
  const size = (name: string) => layout.get(name)?.dims.reduce((a, b) => a * b, 1) ?? 0;
  return {
    dims: (name) => layout.get(name)?.dims,
    read: (name) => Promise.resolve(new Float32Array(size(name))),
    readRows: (name, _, count) =>
      Promise.resolve(new Float32Array(count * size(name) / (layout.get(name)?.dims[0] ?? 1))),
  };
}

describe.each(["cpu", "wasm", "webgpu"] as const)("%s", (provider) => {
  let engine: Engine;
  let weights: TensorSource;
  beforeAll(async () => {
    engine = await openEngine({ provider, threads: 1, allowSoftwareAdapter: true });
    weights = await parityWeights();
  });
  afterAll(() => engine.close());

  const config = parityConfig();
  const vision = requireVision(config);
  const attending = { ...config, vq: { ...config.vq, midBlockAttention: true } };
  const tables = new Float32Array(foldedRows(config) * 4 * config.dModelGen);
  test.each<[string, (source: TensorSource) => Promise<Graph>]>([
    ["fold", (source) => foldGraph(config, source)],
    ["prompt", (source) => promptGraph(config, source)],
    ["draw, prefix", (source) => drawGraph(config, source, { attention: "prefix", tables })],
    ["draw, full", (source) => drawGraph(config, source, { attention: "full", tables })],
    [
      "draw, prefix, behind a source picture",
      (source) => drawGraph(config, source, { attention: "prefix", tables, sourceCached: true }),
    ],
    ["prompt with a source picture", (source) => sourcePromptGraph(config, source, tables)],
    ["vision tower", (source) => visionTowerGraph(vision, source)],
    ["vision projector", (source) => visionProjectGraph(config, vision, source)],
    ["text step", (source) => textGraph(config, source)],
    ["head over LOC rows", (source) => headGraph(config, source, { first: 126349, count: 1025 })],
    ["vq decode with attention", (source) => vqDecodeGraph(attending.vq, source)],
    ["vq encode with attention", (source) => vqEncodeGraph(attending.vq, source)],
  ])("runs every node of %s", async (_, graph) => {
    const session = await engine.load(await graph(zeros(attending)));
    await session.release();
  });

  test("what is constant in a graph is folded on the CPU while it loads, whatever the provider has", async () => {
    const g = new GraphBuilder("folded");
    const constant = g.initializer("constant", "float32", [1, 3], () => Float32Array.of(1, 5, 2));
    // Hardmax is no operator of the WebGPU provider.
    const sum = g.node("Add", [g.input("x", "float32", [1, 3]), g.node("Hardmax", [constant])]);
    g.output("y", sum, "float32", [1, 3]);
    const session = await engine.load(await g.build());
    const x: HostTensor = { dtype: "float32", dims: [1, 3], data: Float32Array.of(1, 2, 3) };
    expect(await hostFloats(await session.run({ x }, ["y"]), "y")).toEqual(Float32Array.of(1, 3, 3));
    await session.release();
  });

  test("rotary tables, folded while a graph loads, hold the angles of every position", async () => {
    const [positions, headSize, theta] = [8192, 128, 500_000];
    const half = headSize / 2;
    const g = new GraphBuilder("rotary");
    const x = g.input("x", "float32", [1, positions, headSize]);
    const places = g.input("places", "int64", [1, positions]);
    const tables = rotaryTables(g, { positions, headSize, theta });
    g.output("y", rotate(g, x, places, tables), "float32", [1, positions, headSize]);
    const session = await engine.load(await g.build());
    // A one in the first half of a head comes out as cosines, and as sines in the other half.
    const data = Float32Array.from({ length: positions * headSize }, (_, i) => i % headSize < half ? 1 : 0);
    const outputs = await session.run({
      x: { dtype: "float32", dims: [1, positions, headSize], data },
      places: {
        dtype: "int64",
        dims: [1, positions],
        data: BigInt64Array.from({ length: positions }, (_, i) => BigInt(i)),
      },
    }, ["y"]);
    const found = await hostFloats(outputs, "y");
    let error = 0;
    for (let i = 0; i < found.length; i++) {
      const [position, pair] = [Math.floor(i / headSize), i % half];
      const frequency = Math.fround(1 / Math.fround(theta ** Math.fround(2 * pair / headSize)));
      const angle = Math.fround(position * frequency);
      const wanted = i % headSize < half ? Math.cos(angle) : Math.sin(angle);
      error = Math.max(error, Math.abs((found[i] ?? NaN) - wanted));
    }
    expect(error).toBeLessThan(2e-7);
    await session.release();
  });

  test.each(["prefix", "full"])(
    "%s attention: logits, pixels and ids are those of a bare CPU session",
    async (regime) => {
      const own = parityConfig({ prompt_attention: regime });
      const here = await createModel({ config: own, weights, tokenizer, engine });
      const bare = await createModel({ config: own, weights, tokenizer, engine: nodeEngine() });
      const [cache, other] = [await here.prompt(rows), await bare.prompt(rows)];
      const first = await here.draw(cache, ids, positions);
      const expected = await bare.draw(other, ids, positions);
      for (const [row, logits] of first.entries()) {
        expect(relativeError(logits, expected[row] ?? [])).toBeLessThan(1e-4);
      }
      expect(await here.draw(cache, ids, positions)).toEqual(first);
      const codes = ids.map((id) => id % 8192);
      const [picture, wanted] = [await here.decode(codes), await bare.decode(codes)];
      const largest = picture.data.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - (wanted.data[i] ?? NaN))),
        0,
      );
      expect(largest).toBeLessThanOrEqual(1);
      expect(await here.encode(wanted)).toEqual(await bare.encode(wanted));
      cache.release();
      other.release();
      await here.close();
      await bare.close();
    },
  );

  test("seeing, a prompt behind which an answer stands, and the LOC rows are those of a bare CPU session", async () => {
    const standIn = standInTokenizer();
    const here = await createModel({ config, weights, tokenizer: standIn, engine });
    const bare = await createModel({ config, weights, tokenizer: standIn, engine: nodeEngine() });
    const data = Uint8Array.from({ length: 3 * 40 * 30 }, (_, i) => (i * 37) % 256);
    const picture = { width: 40, height: 30, data };
    const seen = await here.understanding.look(picture, "single");
    expect(relativeError(seen, await bare.understanding.look(picture, "single"))).toBeLessThan(1e-4);
    const ids = Int32Array.of(1000, ...new Int32Array(seen.length / config.dModel).fill(IMAGE_ID), 1001);
    const answer = { ids: Int32Array.of(1002, config.maskTokenId, config.maskTokenId) };
    const [cache, other] = [
      await here.understanding.read({ ids, features: seen }),
      await bare.understanding.read({ ids, features: seen }),
    ];
    for (const head of ["words", "locations"] as const) {
      const asked = Uint32Array.of(2, 1);
      const logits = await here.understanding[head](cache, answer, asked);
      expect(logits.length).toBe(2 * (head === "words" ? config.embeddingSize : config.locTokens));
      expect(relativeError(logits, await bare.understanding[head](other, answer, asked)), head).toBeLessThan(1e-4);
    }
    cache.release();
    other.release();
    await here.close();
    await bare.close();
  });
});
