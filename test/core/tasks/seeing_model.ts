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

/** @param says the token that is likeliest at each place of an answer, if any; others by hash */
export function seeingModel(says: Readonly<Record<number, number>> = {}): SeeingModel {
  const base = fakeModel();
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
  const lengths = new Map<TextCache, number>();
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
        const cache: TextCache = { length: input.ids.length, release: () => lengths.delete(cache) };
        lengths.set(cache, seedOf(input));
        return Promise.resolve(cache);
      },
      words(cache, input, places) {
        asked.push(cache === undefined ? "words" : "words cached");
        const logits = numbers(places, VOCABULARY, seedOf(input, cache === undefined ? 0 : lengths.get(cache)));
        places.forEach((place, i) => {
          logits[i * VOCABULARY + config.maskTokenId] = -Infinity;
          const said = says[place];
          if (said !== undefined) logits[i * VOCABULARY + said] = 20;
        });
        return Promise.resolve(logits);
      },
      locations(_cache, input, places) {
        asked.push(`locations ${places.length}`);
        return Promise.resolve(numbers(places, config.locTokens, seedOf(input)));
      },
      close: () => Promise.resolve(),
    },
  };
  return { ...base, ...model, asked };
}
