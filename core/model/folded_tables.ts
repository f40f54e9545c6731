/**
 * The rows that drawing looks up for its VQ ids, folded once a model.
 *
 * @module
 */
import type { Engine, HostTensor } from "../engine/types.ts";
import type { ModelConfig } from "./config.ts";
import { foldGraph } from "./graphs/fold_tables.ts";
import { foldedRows, type FoldedTables } from "./graphs/vq_tokens.ts";
import { hostFloats } from "./outputs.ts";
import type { TensorSource } from "./weights.ts";

/** Runs the fold graph once. fp32 [foldedRows * 4, dModelGen], without `corners` [foldedRows, dModelGen]. */
export async function foldTables(
  config: ModelConfig,
  weights: TensorSource,
  engine: Engine,
  corners = true,
): Promise<FoldedTables> {
  const session = await engine.load(await foldGraph(config, weights, corners));
  try {
    const count = foldedRows(config);
    const data = await weights.readRows("model.gen_embedding.0.weight", 0, count);
    const rows: HostTensor = { dtype: "float32", dims: [count, config.dModelGen], data };
    return await hostFloats(await session.run({ rows }, ["tables"]), "tables");
  } finally {
    await session.release();
  }
}
