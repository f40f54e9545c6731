/**
 * The part of the network that sees, answers and points: vision tower, understanding branch, LM head. Each graph is
 * loaded when it is first asked for, so that pointing never loads the words.
 *
 * @module
 */
import { byteLength } from "../engine/tensors.ts";
import type { Engine, HostTensor, ResidentTensor, Session } from "../engine/types.ts";
import type { ModelConfig } from "./config.ts";
import { TextEmbedding } from "./embedding.ts";
import { Graphs } from "./graphs.ts";
import { cacheNames } from "./graphs/prompt.ts";
import { headGraph, type HeadRows } from "./graphs/text_head.ts";
import { ownNames, textGraph } from "./graphs/text_step.ts";
import { Lazy } from "./lazy.ts";
import { hostFloats } from "./outputs.ts";
import { type Feeds, positionRows } from "./prompt_cache.ts";
import { GroupedLogits } from "./resident_draw.ts";
import type { Picture, ResidentAnswering, TextCache, TextInput, Tokenizer, Understanding } from "./types.ts";
import { checkLength } from "./sequence_length.ts";
import { type Look, Vision } from "./vision.ts";
import type { TensorSource } from "./weights.ts";

interface Source {
  readonly config: ModelConfig;
  readonly weights: TensorSource;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** Those of the model, so that one account holds all. @default its own */
  readonly graphs?: Graphs;
}

/** Nothing is loaded yet. */
export function createUnderstanding(source: Source): Understanding {
  return new LoadedUnderstanding(source);
}

class LoadedUnderstanding implements Understanding {
  readonly resident?: ResidentAnswering;
  readonly #config: ModelConfig;
  readonly #embedding: TextEmbedding;
  readonly #vision: Lazy<Vision>;
  readonly #text: Lazy<Session>;
  readonly #words: Lazy<Session>;
  readonly #locations: Lazy<Session>;

  constructor({ config, weights, tokenizer, engine, graphs = new Graphs(engine) }: Source) {
    this.#config = config;
    this.#embedding = new TextEmbedding(config, weights);
    this.#vision = new Lazy(() => Vision.load(config, weights, graphs));
    this.#text = new Lazy(() => graphs.load("text_step", () => textGraph(config, weights)));
    this.#words = new Lazy(() => graphs.load("text_head", () => headGraph(config, weights)));
    const rows = (): HeadRows => ({ first: tokenizer.id("<LOC_0>"), count: config.locTokens });
    this.#locations = new Lazy(() => graphs.load("text_head_rows", () => headGraph(config, weights, rows())));
    const { gpu } = engine;
    if (gpu === undefined) return;
    this.resident = {
      gpu,
      vocabulary: config.embeddingSize,
      locTokens: config.locTokens,
      words: async (...args) => await this.#residentLogits(await this.#words.get(), ...args),
      locations: async (...args) => await this.#residentLogits(await this.#locations.get(), ...args),
    };
  }

  async look(picture: Picture, look: Look = "tiles"): Promise<Float32Array> {
    return await (await this.#vision.get()).look(picture, look);
  }

  async read(input: TextInput): Promise<TextCache> {
    const names = Array.from({ length: this.#config.layers }, (_, layer) => Object.values(ownNames(layer))).flat();
    const session = await this.#text.get();
    const outputs = await session.run(await this.#feeds(undefined, input, Uint32Array.of(0)), names, names);
    return new Cache(this.#config, input.ids.length, outputs);
  }

  async words(cache: TextCache | undefined, input: TextInput, asked: Uint32Array): Promise<Float32Array> {
    return await this.#logits(await this.#words.get(), cache, input, asked);
  }

  async locations(cache: TextCache | undefined, input: TextInput, asked: Uint32Array): Promise<Float32Array> {
    return await this.#logits(await this.#locations.get(), cache, input, asked);
  }

  async close(): Promise<void> {
    for (const each of [this.#vision, this.#text, this.#words, this.#locations]) {
      await (await each.taken())?.release();
    }
  }

  async #logits(head: Session, cache: TextCache | undefined, input: TextInput, asked: Uint32Array) {
    if (asked.length === 0) return new Float32Array();
    return await this.#withStates(
      cache,
      input,
      asked,
      async (states) => await hostFloats(await head.run({ states }, ["logits"]), "logits"),
    );
  }

  async #residentLogits(
    head: Session,
    cache: TextCache | undefined,
    input: TextInput,
    asked: Uint32Array,
  ): Promise<GroupedLogits> {
    if (asked.length === 0) throw new RangeError("logits on the GPU are asked for at one position at least");
    return await this.#withStates(cache, input, asked, async (states) => {
      const result = new GroupedLogits();
      const { logits } = await head.run({ states }, ["logits"], ["logits"]);
      result.add(logits, [0], 0);
      return result;
    });
  }

  /** The text graph's states at `asked`, for as long as `use` takes. */
  async #withStates<T>(
    cache: TextCache | undefined,
    input: TextInput,
    asked: Uint32Array,
    use: (states: HostTensor | ResidentTensor) => Promise<T>,
  ): Promise<T> {
    const session = await this.#text.get();
    const { states } = await session.run(await this.#feeds(cache, input, asked), ["states"], ["states"]);
    if (states === undefined) throw new RangeError("the graph gave no states");
    try {
      return await use(states);
    } finally {
      if ("release" in states) states.release();
    }
  }

  async #feeds(cache: TextCache | undefined, { ids, features }: TextInput, asked: Uint32Array): Promise<Feeds> {
    if (cache !== undefined && !(cache instanceof Cache)) throw new RangeError("take what read() of this model gave");
    const past = cache?.length ?? 0;
    checkLength(this.#config, past + ids.length);
    const bad = asked.find((place) => place >= ids.length);
    if (bad !== undefined) throw new RangeError(`place ${bad} is not among ${ids.length} tokens`);
    return {
      ...textFeeds(past, ids.length, asked),
      embeddings: await this.#embedding.lookUp([ids], features),
      ...(cache instanceof Cache ? cache.feeds() : nothingBefore(this.#config)),
    };
  }
}

/** Everything that the text graph is fed but embeddings and cache. */
export function textFeeds(past: number, tokens: number, asked: Uint32Array): Feeds {
  return {
    positions: positionRows(1, tokens, (index) => past + index),
    asked: { dtype: "int32", dims: [asked.length], data: Int32Array.from(asked) },
    asked_positions: positionRows(1, asked.length, (index) => past + (asked[index] ?? 0)),
  };
}

/** The cache inputs of the text graph where nothing came before. */
export function nothingBefore(config: ModelConfig): Feeds {
  const empty: HostTensor = { dtype: "float32", dims: [1, 0, config.dModel], data: new Float32Array() };
  const names = Array.from({ length: config.layers }, (_, layer) => Object.values(cacheNames(layer))).flat();
  return Object.fromEntries(names.map((name) => [name, empty]));
}

class Cache implements TextCache {
  readonly length: number;
  readonly bytes: number;
  #tensors: Feeds | undefined;

  constructor(config: ModelConfig, length: number, outputs: Readonly<Record<string, HostTensor | ResidentTensor>>) {
    this.length = length;
    const tensors: Feeds = {};
    for (let layer = 0; layer < config.layers; layer++) {
      const from = ownNames(layer);
      const to = cacheNames(layer);
      for (const kind of ["keys", "values"] as const) {
        const tensor = outputs[from[kind]];
        if (tensor === undefined) throw new RangeError(`the graph gave no ${from[kind]}`);
        tensors[to[kind]] = tensor;
      }
    }
    this.#tensors = tensors;
    this.bytes = Object.values(tensors).reduce((sum, tensor) => sum + byteLength(tensor), 0);
  }

  feeds(): Feeds {
    if (this.#tensors === undefined) throw new RangeError("this prompt was released");
    return this.#tensors;
  }

  release(): void {
    for (const tensor of Object.values(this.#tensors ?? {})) if ("release" in tensor) tensor.release();
    this.#tensors = undefined;
  }
}
