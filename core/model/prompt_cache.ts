/**
 * What a prompt leaves behind for the draw graph: keys and values (`prefix` attention), or its embeddings (`full`).
 *
 * @module
 */
import { byteLength } from "../engine/tensors.ts";
import type { HostTensor, ResidentTensor } from "../engine/types.ts";
import type { PromptCache } from "./types.ts";

export type Feeds = Record<string, HostTensor | ResidentTensor>;

/** int64 [rows, n]: `of(i)` for i below n, the same in each row. */
export function positionRows(rows: number, n: number, of: (index: number) => number): HostTensor {
  const data = new BigInt64Array(rows * n);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < n; i++) data[row * n + i] = BigInt(of(i));
  }
  return { dtype: "int64", dims: [rows, n], data };
}

/** VQ tokens of a source picture among a prompt's tokens. */
export interface SourceCells {
  /** int32 [cells * 4], as `cornerRows` gives it. */
  readonly cornerRows: Int32Array;
  /** Their places in the prompt, in order. */
  readonly places: Uint32Array;
}

/** Rows that are computed together: all with a source picture, or all without. */
export class OpenPrompt implements PromptCache {
  readonly rows: number;
  readonly length: number;
  /** Tokens after the image. */
  readonly suffix: number;
  readonly source: SourceCells | undefined;
  readonly bytes: number;
  #tensors: Feeds;
  #released = false;

  /**
   * @param tensors keys and values (`prefix`), or the `embeddings` of text and suffix (`full`)
   * @param length tokens of the whole prompt, source tokens included
   */
  constructor(rows: number, length: number, suffix: number, tensors: Feeds, source?: SourceCells) {
    this.rows = rows;
    this.length = length;
    this.suffix = suffix;
    this.source = source;
    this.#tensors = tensors;
    this.bytes = Object.values(tensors).reduce((sum, tensor) => sum + byteLength(tensor), 0);
  }

  /** Tokens of the whole sequence with a picture of `cells` tokens. */
  total(cells: number): number {
    return this.length + cells + this.suffix;
  }

  /** The source's cells that the draw graph runs again in each step: none where they are cached. */
  get liveSource(): SourceCells | undefined {
    return "embeddings" in this.#tensors ? this.source : undefined;
  }

  /** The draw graph's prompt inputs, for a picture of `cells` tokens. */
  feeds(cells: number): Feeds {
    if (this.#released) throw new RangeError("this prompt was released");
    if (!("embeddings" in this.#tensors)) return this.#tensors;
    const text = textPlaces(this.length, this.source);
    const place = (index: number) => text[index] ?? index - text.length + this.length + cells;
    return { ...this.#tensors, text_positions: positionRows(this.rows, text.length + this.suffix, place) };
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const tensor of Object.values(this.#tensors)) if ("release" in tensor) tensor.release();
  }
}

/** Places of a prompt that are not its source's. */
export function textPlaces(length: number, source: SourceCells | undefined): Uint32Array {
  const all = Uint32Array.from({ length }, (_, place) => place);
  if (source === undefined) return all;
  const taken = new Set(source.places);
  return all.filter((place) => !taken.has(place));
}

/** The cache that `model.ts` gives out; nothing else makes one. */
export class PromptGroups implements PromptCache {
  readonly rows: number;
  readonly length: number;
  readonly bytes: number;
  /** Each with the rows that it holds. */
  readonly groups: readonly { readonly prompt: OpenPrompt; readonly rows: readonly number[] }[];

  constructor(groups: PromptGroups["groups"]) {
    this.groups = groups;
    this.rows = groups.reduce((sum, { rows }) => sum + rows.length, 0);
    this.length = groups[0]?.prompt.length ?? 0;
    this.bytes = groups.reduce((sum, { prompt }) => sum + prompt.bytes, 0);
  }

  release(): void {
    for (const { prompt } of this.groups) prompt.release();
  }
}
