/** The final norm's divisor (facts 1.3) where its epsilon matters, which real states are too large to show. */
import { expect, test } from "vitest";
import { GraphBuilder } from "../../../kernels/onnx/graph.ts";
import { Branch } from "../../../core/model/graphs/branch.ts";
import { nodeEngine } from "./node_engine.ts";
import { parityConfig, parityWeights, relativeError } from "./parity.ts";

test.each(["language", "generation"] as const)("ln_f of small states, %s branch", async (kind) => {
  const config = parityConfig();
  const weights = await parityWeights();
  const g = new GraphBuilder("ln_f");
  const branch = new Branch(g, config, weights, kind);
  g.output("y", branch.finalNorm(g.input("x", "float32", [1, branch.width])), "float32", [1, branch.width]);
  const session = await nodeEngine().load(await g.build());
  const data = Float32Array.from({ length: branch.width }, (_, i) => 2e-3 * Math.sin(i * 1.7));
  const { y } = await session.run({ x: { dtype: "float32", dims: [1, branch.width], data } }, ["y"]);
  if (y === undefined || !("data" in y)) throw new Error("no y");
  const scale = await weights.read("model.transformer.ln_f.weight");
  const root = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / config.dModel + config.rmsNormEpsilon);
  expect(relativeError(y.data as Float32Array, Array.from(data, (value, i) => value / root * (scale[i] ?? NaN))))
    .toBeLessThan(1e-6);
});
