/**
 * Rows of a prompt that can be computed together. A source picture's tokens run in the generation branch in the rows
 * that show them, and in the rows that mask them they are text like any other mask (facts 6.4), so those rows have other
 * numbers of tokens on each side.
 *
 * @module
 */
import { cornerRows, gridOf } from "./cells.ts";
import type { ModelConfig } from "./config.ts";
import { foldedRows } from "./graphs/vq_tokens.ts";
import type { SourceCells } from "./prompt_cache.ts";
import type { PromptPictures } from "./types.ts";

export interface RowGroup {
  /** Which rows of the prompt. */
  readonly members: readonly number[];
  readonly rows: readonly Int32Array[];
  /** The rows without their source tokens. */
  readonly text: readonly Int32Array[];
  readonly source: SourceCells | undefined;
}

/**
 * @param token the source picture's, undefined if there is none
 * @throws {RangeError} if a row's source tokens are not those of the picture, or rows show it at different places
 */
export function groupRows(
  config: ModelConfig,
  rows: readonly Int32Array[],
  token: number | undefined,
  picture: PromptPictures["source"],
): RowGroup[] {
  const groups = new Map<string, { members: number[]; places: Uint32Array }>();
  for (const [index, row] of rows.entries()) {
    const places = token === undefined ? new Uint32Array() : placesOf(row, token);
    const key = places.join();
    const group = groups.get(key) ?? { members: [], places };
    group.members.push(index);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ members, places }) => {
    const own = members.map((index) => rows[index] ?? new Int32Array());
    if (places.length === 0 || picture === undefined) return { members, rows: own, text: own, source: undefined };
    const grid = gridOf(picture.ids.length, picture.width);
    const corners = cornerRows(picture.ids, grid, foldedRows(config));
    if (places.length * 4 !== picture.ids.length) {
      throw new RangeError(`a row has ${places.length} source tokens for a picture of ${picture.ids.length / 4} cells`);
    }
    return {
      members,
      rows: own,
      text: own.map((row) => row.filter((id) => id !== token)),
      source: { cornerRows: corners.data as Int32Array, places },
    };
  });
}

function placesOf(row: Int32Array, token: number): Uint32Array {
  const places: number[] = [];
  row.forEach((id, place) => {
    if (id === token) places.push(place);
  });
  return Uint32Array.from(places);
}
