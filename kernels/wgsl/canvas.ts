/**
 * Kernels over the ids of a picture that stays on the GPU. A _word_ is a position and its id, position << 16 | id.
 *
 * @module
 */
import { kernel, THREADS } from "./kernel.ts";

/**
 * VQ ids to rows of the corner tables, as core/model/cells.ts `cornerRows` has them: id * 4 + corner of each 2x2 cell.
 *
 * Storage: ids u32 [height * width], read; rows i32 [first + height * width], written from `first` on.
 * One invocation an id.
 */
export const CORNER_ROWS = kernel(
  "corner_rows",
  [["width", "u32"], ["ids", "u32"], ["first", "u32"]],
  `
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> rows: array<u32>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  let place = invocation.x;
  if (place >= params.ids) { return; }
  let cell = place >> 2u;
  let corner = place & 3u;
  let cells = params.width / 2u; // in a line
  let y = 2u * (cell / cells) + (corner >> 1u);
  let x = 2u * (cell % cells) + (corner & 1u);
  rows[params.first + place] = ids[y * params.width + x] * 4u + corner;
}
`,
);

/**
 * Writes revealed ids, and the step that revealed them, into the picture, and packs them for the host, which knows their
 * positions where the order is fixed: two ids a u32, the first in the lower half.
 *
 * Storage: words u32 [count], read; ids u32 [positions], written; revealed_at u32 [positions], written; packed u32
 * [ceil(count / 2)], written. One invocation two words.
 */
export const SCATTER = kernel(
  "scatter",
  [["count", "u32"], ["step", "u32"]],
  `
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> revealed_at: array<u32>;
@group(0) @binding(4) var<storage, read_write> packed: array<u32>;

fn reveal(at: u32) -> u32 {
  if (at >= params.count) { return 0u; }
  let position = words[at] >> 16u;
  let id = words[at] & 0xffffu;
  ids[position] = id;
  revealed_at[position] = params.step;
  return id;
}

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  let pair = invocation.x;
  if (2u * pair >= params.count) { return; }
  let first = reveal(2u * pair);
  let second = reveal(2u * pair + 1u);
  packed[pair] = first | (second << 16u);
}
`,
);

/**
 * The `count` words of the largest scores, largest first, equals by position: each word's place is the number of words
 * before it.
 *
 * Storage: words u32 [candidates], read; scores u32 [candidates] sortable, read; best u32 [count], written.
 * One invocation a candidate.
 */
export const MOST_CONFIDENT = kernel(
  "most_confident",
  [["candidates", "u32"], ["count", "u32"]],
  `
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> scores: array<u32>;
@group(0) @binding(3) var<storage, read_write> best: array<u32>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  if (invocation.x >= params.candidates) { return; }
  let word = words[invocation.x];
  let score = scores[invocation.x];
  var place = 0u;
  for (var i = 0u; i < params.candidates; i++) {
    let other = scores[i];
    // Positions are distinct and lead their words.
    if (other > score || (other == score && words[i] < word)) { place++; }
  }
  if (place < params.count) { best[place] = word; }
}
`,
);
