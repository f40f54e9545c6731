/**
 * What the tasks may ask of the network. `core/model/model.ts` implements it over `core/engine`; tests may implement it
 * over a table of numbers.
 *
 * @module
 */
import type { EngineInfo } from "../engine/types.ts";
import type { ModelConfig } from "./config.ts";

/** The keys and values of a prompt's rows, computed once (`prefix` attention). */
export interface PromptCache {
  /** 1, 2 (guidance) or 3 (edit) rows of equal length. */
  readonly rows: number;
  /** Tokens a row; the first image token's position. */
  readonly length: number;
  release(): void;
}

/** Text to ids and back; the published layout's `tokenizer.json`. */
export interface Tokenizer {
  encode(text: string): Int32Array;
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }): string;
  /** The id of one added token, looked up by its text (`<|eot_id|>`, `<LOC_3>`); throws `unknown_token`. */
  id(token: string): number;
  readonly vocabularySize: number;
}

/** 8-bit RGB, row-major, [height, width, 3]. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface Model {
  readonly config: ModelConfig;
  readonly info: EngineInfo;
  readonly tokenizer: Tokenizer;
  /**
   * Keys and values of 1-3 rows of token ids of equal length, everything before the first image token. A masked prompt
   * (unconditional) is `config.maskTokenId` in every masked place. `suffix`: what follows the last image token in every
   * row; only `full` attention has one (facts 3.2, quirk 1), `prefix` sequences end with the image.
   */
  prompt(rows: readonly Int32Array[], suffix?: Int32Array): Promise<PromptCache>;
  /**
   * VQ logits of one image at `positions` only, a row of [positions, vqCodes] fp32 for each row of the cache.
   * `ids`: VQ ids on any grid of even sides, `config.vqMaskId` where masked, row-major; `width`: its width, by default
   * that of a square.
   */
  draw(
    cache: PromptCache,
    ids: Uint16Array,
    positions: Uint32Array,
    width?: number,
  ): Promise<readonly Float32Array[]>;
  /** VQ ids, none masked, to pixels, clipped to [0,1], x255, truncated (facts 7). `width` as in `draw`. */
  decode(ids: Uint16Array, width?: number): Promise<Picture>;
  /** Pixels to VQ ids, row-major (facts 2.6); the picture's sides are multiples of `config.vq.factor`. */
  encode(picture: Picture): Promise<Uint16Array>;
  close(): Promise<void>;
}
