/** The table of numbers of `fake_model.ts`, with eyes and words: what it sees and says is a hash of what it is given. */
import { visionConfig, visionSchema } from "../../../core/model/vision_config.ts";
import type { Model, Picture, TextCache, TextInput } from "../../../core/model/types.ts";
import { viewsOf } from "../../../core/model/vision.ts";
import { type FakeModel, fakeModel } from "./fake_model.ts";

export const VOCABULARY = 90;

export interface SeeingModel extends FakeModel {
  /** What was asked: `look tiles`, `encode`, `words cached`, `locations 12`. */
  readonly asked: string[];
}

export function picture(width = 40, height = 30, shade = 0): Picture {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7 + shade) % 256);
  return { width, height, data };
}

function hash(values: Iterable<number>, seed = 2166136261): number {
  let h = seed;
  for (const value of values) h = Math.imul(h ^ value, 16777619);
  return h >>> 0;
}

/** The token that is likeliest at a place of an answer. */
export type Tokens = Readonly<Record<number, number>>;

/** The text that answers a prompt, an end token behind it. @param seen a number of the pictures in the prompt */
export type Say = (prompt: string, seen: number) => string | undefined;

export interface Saying {
  /** What it says; where it is told nothing, by hash. */
  readonly says?: Tokens | Say;
  /** LOC numbers that it finds, by mask; others by hash. */
  readonly finds?: Readonly<Record<number, number>>;
}

export function seeingModel({ says = {}, finds = {} }: Saying = {}): SeeingModel {
  const base = fakeModel();
  const { tokenizer } = base;
  const vocabulary = typeof says === "function" ? tokenizer.vocabularySize : VOCABULARY;
  const said = ({ ids, features = new Float32Array() }: TextInput): Tokens => {
    if (typeof says !== "function") return says;
    const text = says(tokenizer.decode(ids.filter((id) => id >= 0)), hash(features));
    return { ...(text === undefined ? [] : tokenizer.encode(`${text}<|eot_id|>`)) };
  };
  // One pooled cell a view, so that a picture is a handful of tokens.
  const vision = visionConfig(visionSchema.parse({ image_size: 28, hidden_size: 8, num_attention_heads: 2 }), -2);
  const config = { ...base.config, vision, locTokens: 65 };
  const asked: string[] = [];
  const numbers = (asked: Uint32Array, width: number, seed: number) =>
    Float32Array.from(
      { length: asked.length * width },
      (_, i) => hash([i % width, asked[Math.floor(i / width)] ?? 0], seed) / 2 ** 32,
    );
  const seedOf = ({ ids, features }: TextInput, past = 0) => hash([past, ...ids, ...features ?? []]);
  const prompts = new Map<TextCache, { readonly seed: number; readonly tokens: Tokens }>();
  const model: Model = {
    ...base,
    config,
    prompt: (rows, suffix, pictures) => {
      asked.push(`prompt ${rows.length}`);
      const extra = [...pictures?.features ?? [], ...pictures?.source?.ids ?? []].map(Math.trunc);
      return base.prompt(rows.map((row) => Int32Array.of(...row, ...extra)), suffix);
    },
    encode: (picture) => {
      asked.push("encode");
      return Promise.resolve(Uint16Array.from({ length: config.grid ** 2 }, (_, i) => hash(picture.data, i) % 61));
    },
    understanding: {
      look(picture, look = "tiles") {
        asked.push(`look ${look}`);
        const { order } = viewsOf(vision, picture, look);
        const seed = hash(picture.data);
        return Promise.resolve(
          Float32Array.from({ length: order.length * config.dModel }, (_, i) => hash([i], seed) % 97),
        );
      },
      read(input) {
        asked.push("read");
        const cache: TextCache = { length: input.ids.length, bytes: 1000, release: () => prompts.delete(cache) };
        prompts.set(cache, { seed: seedOf(input), tokens: said(input) });
        return Promise.resolve(cache);
      },
      words(cache, input, places) {
        asked.push(cache === undefined ? "words" : "words cached");
        const { seed = 0, tokens = said(input) } = cache === undefined ? {} : prompts.get(cache) ?? {};
        const logits = numbers(places, vocabulary, seedOf(input, seed));
        places.forEach((place, i) => {
          logits[i * vocabulary + config.maskTokenId] = -Infinity;
          const token = tokens[place];
          if (token !== undefined) logits[i * vocabulary + token] = 20;
        });
        return Promise.resolve(logits);
      },
      locations(_cache, input, places) {
        asked.push(`locations ${places.length}`);
        const logits = numbers(places, config.locTokens, seedOf(input));
        for (const [mask, loc] of Object.entries(finds)) logits[Number(mask) * config.locTokens + loc] = 20;
        return Promise.resolve(logits);
      },
      close: () => Promise.resolve(),
    },
  };
  return { ...base, ...model, asked };
}
