/**
 * Every graph on every provider of core/engine. The engine forbids nodes that the provider would hand to the CPU, so
 * loading at all is the proof that each operator is there. WebGPU needs an adapter, be it a software one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, Graph } from "../../../core/engine/types.ts";
import type { ModelConfig } from "../../../core/model/config.ts";
import { drawGraph } from "../../../core/model/graphs/draw.ts";
import { foldGraph } from "../../../core/model/graphs/fold_tables.ts";
import { promptGraph } from "../../../core/model/graphs/prompt.ts";
import { vqDecodeGraph } from "../../../core/model/graphs/vq_decode.ts";
import { vqEncodeGraph } from "../../../core/model/graphs/vq_encode.ts";
import { foldedRows } from "../../../core/model/graphs/vq_tokens.ts";
import { modelLayout } from "../../../core/model/layout.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Tokenizer } from "../../../core/model/types.ts";
import type { TensorSource } from "../../../core/model/weights.ts";
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
  const attending = { ...config, vq: { ...config.vq, midBlockAttention: true } };
  const tables = new Float32Array(foldedRows(config) * 4 * config.dModelGen);
  test.each<[string, (source: TensorSource) => Promise<Graph>]>([
    ["fold", (source) => foldGraph(config, source)],
    ["prompt", (source) => promptGraph(config, source)],
    ["draw, prefix", (source) => drawGraph(config, source, { attention: "prefix", tables })],
    ["draw, full", (source) => drawGraph(config, source, { attention: "full", tables })],
    ["vq decode with attention", (source) => vqDecodeGraph(attending.vq, source)],
    ["vq encode with attention", (source) => vqEncodeGraph(attending.vq, source)],
  ])("runs every node of %s", async (_, graph) => {
    const session = await engine.load(await graph(zeros(attending)));
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
});
