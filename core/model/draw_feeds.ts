/**
 * From a prompt and a grid of VQ ids to the inputs of the draw graph.
 *
 * @module
 */
import type { HostTensor } from "../engine/types.ts";
import type { Picks } from "./cells.ts";
import { CORNERS } from "./graphs/vq_tokens.ts";
import { type Feeds, type OpenPrompt, positionRows } from "./prompt_cache.ts";

/**
 * @param target int32 [1, cells, 4] of the picture that is drawn
 * @param chosen cells and picks among the target's
 */
export function drawFeeds(prompt: OpenPrompt, target: HostTensor, chosen: Picks): Feeds {
  const cells = target.dims[1] ?? 0;
  const source = prompt.liveSource;
  const before = source?.places.length ?? 0;
  const place = (cell: number) => source?.places[cell] ?? prompt.length + cell - before;
  const rows = new Int32Array((before + cells) * CORNERS);
  if (source !== undefined) rows.set(source.cornerRows);
  rows.set(target.data as Int32Array, before * CORNERS);
  const among = chosen.cells.map((cell) => before + cell);
  return {
    corner_rows: { dtype: "int32", dims: [1, before + cells, CORNERS], data: rows },
    once_positions: positionRows(1, before + cells, place),
    positions: positionRows(prompt.rows, before + cells, place),
    row_ones: { dtype: "float32", dims: [prompt.rows, 1, 1], data: new Float32Array(prompt.rows).fill(1) },
    cells: { dtype: "int32", dims: [among.length], data: among },
    cell_positions: positionRows(prompt.rows, among.length, (index) => place(among[index] ?? 0)),
    picks: { dtype: "int32", dims: [chosen.picks.length], data: chosen.picks },
    ...prompt.feeds(cells),
  };
}
