/**
 * What a prompt leaves behind for the draw graph: keys and values (`prefix` attention), or its embeddings (`full`).
 *
 * @module
 */
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

/** The cache that `model.ts` gives out; nothing else makes one. */
export class OpenPrompt implements PromptCache {
  readonly rows: number;
  readonly length: number;
  /** Tokens after the image. */
  readonly #suffix: number;
  #tensors: Feeds;
  #released = false;

  constructor(rows: number, length: number, suffix: number, tensors: Feeds) {
    this.rows = rows;
    this.length = length;
    this.#suffix = suffix;
    this.#tensors = tensors;
  }

  /** Tokens of the whole sequence with a picture of `cells` tokens. */
  total(cells: number): number {
    return this.length + cells + this.#suffix;
  }

  /** The draw graph's prompt inputs, for a picture of `cells` tokens. */
  feeds(cells: number): Feeds {
    if (this.#released) throw new RangeError("this prompt was released");
    if (!("embeddings" in this.#tensors)) return this.#tensors;
    const place = (index: number) => index < this.length ? index : index + cells;
    return { ...this.#tensors, text_positions: positionRows(this.rows, this.length + this.#suffix, place) };
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const tensor of Object.values(this.#tensors)) if ("release" in tensor) tensor.release();
  }
}
