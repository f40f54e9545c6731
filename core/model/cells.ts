/**
 * From a grid of VQ ids to what the draw graph is fed: cells of 2x2 positions and their corners (facts 5).
 *
 * @module
 */
import type { HostTensor } from "../engine/types.ts";
import { CORNERS } from "./graphs/vq_tokens.ts";

/** Sides of a grid, in VQ ids; both even. */
export interface Grid {
  readonly width: number;
  readonly height: number;
}

/** The grid of `count` ids, square unless `width` says otherwise. @throws {RangeError} unless both sides are even */
export function gridOf(count: number, width = Math.round(Math.sqrt(count))): Grid {
  const height = count / width;
  if (!Number.isInteger(height) || height === 0 || width % 2 !== 0 || height % 2 !== 0) {
    throw new RangeError(`${count} VQ ids at width ${width} are not a grid of even sides`);
  }
  return { width, height };
}

/** int32 [1, cells, 4]: id * 4 + corner of each cell's ids. @throws {RangeError} for an id at or above `rows` */
export function cornerRows(ids: Uint16Array, grid: Grid, rows: number): HostTensor {
  const data = new Int32Array(ids.length);
  let next = 0;
  for (let y = 0; y < grid.height; y += 2) {
    for (let x = 0; x < grid.width; x += 2) {
      for (let corner = 0; corner < CORNERS; corner++) {
        const id = ids[(y + (corner >> 1)) * grid.width + x + (corner & 1)] ?? 0;
        if (id >= rows) throw new RangeError(`VQ id ${id} is not below ${rows}`);
        data[next++] = id * CORNERS + corner;
      }
    }
  }
  return { dtype: "int32", dims: [1, ids.length / CORNERS, CORNERS], data };
}

/** Which cells hold the positions, and where in them each position is. */
export interface Picks {
  /** Distinct cells in order of first use. */
  readonly cells: Int32Array;
  /** For each position: its place in `cells` * 4 + its corner. */
  readonly picks: Int32Array;
}

/** @throws {RangeError} for a position outside the grid */
export function pickCells(positions: Uint32Array, grid: Grid): Picks {
  const places = new Map<number, number>();
  const picks = Int32Array.from(positions, (position) => {
    const x = position % grid.width;
    const y = Math.floor(position / grid.width);
    if (y >= grid.height) throw new RangeError(`position ${position} is outside ${grid.width}x${grid.height}`);
    const cell = (y >> 1) * (grid.width / 2) + (x >> 1);
    const place = places.get(cell) ?? places.size;
    places.set(cell, place);
    return place * CORNERS + (y & 1) * 2 + (x & 1);
  });
  return { cells: Int32Array.from(places.keys()), picks };
}
