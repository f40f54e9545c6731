/**
 * What the tasks may ask of the network. `core/model/model.ts` implements it over `core/engine`; tests may implement it
 * over a table of numbers.
 *
 * @module
 */
import type { Gpu, TensorPart } from "../engine/gpu.ts";
import type { EngineInfo, ResidentTensor } from "../engine/types.ts";
import type { ModelConfig } from "./config.ts";

/** The keys and values of a prompt's rows, computed once (`prefix` attention). */
export interface PromptCache {
  /** 1, 2 (guidance) or 3 (edit) rows of equal length. */
  readonly rows: number;
  /** Tokens a row; the first image token's position. */
  readonly length: number;
  /** Of memory, wherever the tensors are. */
  readonly bytes: number;
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

/** Token ids with what stands at their picture places. */
export interface TextInput {
  /** `IMAGE_ID` (chat_template.ts) at picture tokens. */
  readonly ids: Int32Array;
  /** fp32 [picture tokens, dModel], in order; from `Understanding.look`. */
  readonly features?: Float32Array;
}

/** The keys and values of a prompt in every layer of the understanding branch. */
export interface TextCache {
  /** Tokens; the next token's position. */
  readonly length: number;
  /** Of memory, wherever the tensors are. */
  readonly bytes: number;
  release(): void;
}

/** Answering and pointing where logits stay on the GPU. */
export interface ResidentAnswering {
  readonly gpu: Gpu;
  /** As `Understanding.words`: one row, fp32 [asked, `vocabulary`]. */
  words(cache: TextCache | undefined, input: TextInput, asked: Uint32Array): Promise<ResidentLogits>;
  /** As `Understanding.locations`: one row, fp32 [asked, `config.locTokens`]. */
  locations(cache: TextCache | undefined, input: TextInput, asked: Uint32Array): Promise<ResidentLogits>;
  /** Rows of the LM head. */
  readonly vocabulary: number;
  /** Of them the LOC rows. */
  readonly locTokens: number;
}

/** Seeing, answering, pointing (facts 6.5, 6.6). Loads each of its graphs when it is first needed. */
export interface Understanding {
  /**
   * A picture as tokens, fp32 [tokens, dModel], newlines included: `tiles` if it is alone in its prompt, `single` if it is
   * one of several (facts 7). @throws {UnmaskError} `part_missing`
   */
  look(picture: Picture, look?: "tiles" | "single"): Promise<Float32Array>;
  /** A prompt that sees only itself (prefix cache). */
  read(input: TextInput): Promise<TextCache>;
  /**
   * Logits fp32 [asked, vocabulary] at places of `input`. With a cache `input` is what follows the cached prompt and sees
   * it and itself; without one it is the whole sequence.
   */
  words(cache: TextCache | undefined, input: TextInput, asked: Uint32Array): Promise<Float32Array>;
  /** The same over the LOC tokens only, fp32 [asked, locTokens]; the words of the LM head are never loaded. */
  locations(cache: TextCache | undefined, input: TextInput, asked: Uint32Array): Promise<Float32Array>;
  /** Only on the webgpu provider, where it is how tasks answer and point; `words` and `locations` read logits back. */
  readonly resident?: ResidentAnswering;
  close(): Promise<void>;
}

/** Pictures in a drawing's prompt (facts 5, 6.4, 6.7). */
export interface PromptPictures {
  /** fp32 [picture tokens, dModel] for a row's `IMAGE_ID` places, in order; from `Understanding.look`. */
  readonly features?: Float32Array;
  /** The picture that is edited: it stands, cell by cell, at a row's `<|reserved_token_6|>` places, all or none. */
  readonly source?: { readonly ids: Uint16Array; readonly width?: number };
}

/** One graph in memory and the bytes of its weights. */
export interface LoadedGraph {
  readonly graph: string;
  readonly bytes: number;
  /** Why some of its nodes run on the CPU under the webgpu provider; absent: none does, the engine refuses it. */
  readonly cpuNodes?: string;
}

/** Rows of logits on the GPU, fp32 [positions, vqCodes] each. */
export interface ResidentLogits {
  readonly rows: readonly TensorPart[];
  release(): void;
}

/** Drawing where logits stay on the GPU. */
export interface ResidentDrawing {
  readonly gpu: Gpu;
  /** As `Model.draw`, with `ids` int32 [positions] in a tensor of that GPU, none of them at or above the table's rows. */
  draw(cache: PromptCache, ids: ResidentTensor, positions: Uint32Array, width?: number): Promise<ResidentLogits>;
}

export interface Model {
  readonly config: ModelConfig;
  readonly info: EngineInfo;
  readonly tokenizer: Tokenizer;
  /**
   * Keys and values of 1-3 rows of token ids of equal length, everything before the first image token. A masked prompt
   * (unconditional) is `config.maskTokenId` in every masked place. `suffix`: what follows the last image token in every
   * row, or row by row; only `full` attention has one (facts 3.2, quirk 1), `prefix` sequences end with the image.
   */
  prompt(
    rows: readonly Int32Array[],
    suffix?: Int32Array | readonly Int32Array[],
    pictures?: PromptPictures,
  ): Promise<PromptCache>;
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
  /** Only on the webgpu provider, where it is how a run draws; `draw` reads its logits back. */
  readonly resident?: ResidentDrawing;
  /** VQ ids, none masked, to pixels, clipped to [0,1], x255, truncated (facts 7). `width` as in `draw`. */
  decode(ids: Uint16Array, width?: number): Promise<Picture>;
  /** Pixels to VQ ids, row-major (facts 2.6); the picture's sides are multiples of `config.vq.factor`. */
  encode(picture: Picture): Promise<Uint16Array>;
  /** The part that sees and answers; nothing of it is loaded before it is used. Closed with the model. */
  readonly understanding: Understanding;
  /** What is loaded now. */
  readonly loaded: readonly LoadedGraph[];
  close(): Promise<void>;
}
