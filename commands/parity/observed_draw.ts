/**
 * The draw graph with intermediate outputs, on the same feeds as the one that ships.
 *
 * @module
 */
import { cornerRows, type Grid, pickCells } from "../../core/model/cells.ts";
import { allCorners, drawFeeds } from "../../core/model/draw_feeds.ts";
import { drawGraph } from "../../core/model/graphs/draw.ts";
import { foldedRows } from "../../core/model/graphs/vq_tokens.ts";
import { foldTables } from "../../core/model/folded_tables.ts";
import { hostFloats } from "../../core/model/outputs.ts";
import { PromptGroups } from "../../core/model/prompt_cache.ts";
import type { PromptCache } from "../../core/model/types.ts";
import type { ReferenceModel } from "./reference_model.ts";

export interface ObservedGroup {
  /** Rows of the prompt that this run computed. */
  readonly rows: readonly number[];
  /** Source cells that stand before the target's. */
  readonly source: number;
  readonly outputs: ReadonlyMap<string, Float32Array>;
}

/** One forward of every group of rows, with logits at all positions. */
export async function observeDraw(
  { config, weights, engine }: ReferenceModel,
  cache: PromptCache,
  ids: Uint16Array,
  grid: Grid,
  observe: readonly string[],
): Promise<ObservedGroup[]> {
  if (!(cache instanceof PromptGroups)) throw new RangeError("not this model's prompt");
  const tables = await foldTables(config, weights, engine);
  const session = await engine.load(
    await drawGraph(config, weights, { attention: config.promptAttention, tables, observe }),
  );
  try {
    const groups: ObservedGroup[] = [];
    for (const { prompt, rows } of cache.groups) {
      const all = pickCells(Uint32Array.from(ids.keys()), grid);
      const feeds = drawFeeds(prompt, allCorners(prompt, cornerRows(ids, grid, foldedRows(config))), all);
      const result = await session.run(feeds, observe);
      const outputs = new Map<string, Float32Array>();
      for (const name of observe) outputs.set(name, await hostFloats(result, name));
      groups.push({ rows, source: prompt.liveSource?.places.length ?? 0, outputs });
    }
    return groups;
  } finally {
    await session.release();
  }
}
