/**
 * From a prompt and a grid of VQ ids to the inputs of the draw graph.
 *
 * @module
 */
import type { HostTensor, ResidentTensor } from "../engine/types.ts";
import type { Picks } from "./cells.ts";
import { CORNERS } from "./graphs/vq_tokens.ts";
import { type Feeds, type OpenPrompt, positionRows } from "./prompt_cache.ts";

/** int32 [1, cells, 4]: corner rows of the prompt's source, if it runs in each step, and of the picture that is drawn. */
export function allCorners(prompt: OpenPrompt, target: HostTensor): HostTensor {
  const source = prompt.liveSource?.cornerRows;
  if (source === undefined) return target;
  const data = new Int32Array(source.length + target.data.length);
  data.set(source);
  data.set(target.data as Int32Array, source.length);
  return { dtype: "int32", dims: [1, data.length / CORNERS, CORNERS], data };
}

/**
 * @param corners of {@link allCorners}, or on the GPU of `residentCorners`
 * @param chosen cells and picks among the target's
 */
export function drawFeeds(prompt: OpenPrompt, corners: HostTensor | ResidentTensor, chosen: Picks): Feeds {
  const source = prompt.liveSource;
  const before = source?.places.length ?? 0;
  const cells = (corners.dims[1] ?? 0) - before;
  const place = (cell: number) => source?.places[cell] ?? prompt.length + cell - before;
  const among = chosen.cells.map((cell) => before + cell);
  return {
    corner_rows: corners,
    once_positions: positionRows(1, before + cells, place),
    positions: positionRows(prompt.rows, before + cells, place),
    row_ones: { dtype: "float32", dims: [prompt.rows, 1, 1], data: new Float32Array(prompt.rows).fill(1) },
    cells: { dtype: "int32", dims: [among.length], data: among },
    cell_positions: positionRows(prompt.rows, among.length, (index) => place(among[index] ?? 0)),
    picks: { dtype: "int32", dims: [chosen.picks.length], data: chosen.picks },
    ...prompt.feeds(cells),
  };
}
