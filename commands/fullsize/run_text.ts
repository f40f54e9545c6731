/**
 * One step of text at full size: a cached prompt, then logits at the masks of one block behind it.
 *
 * @module
 */
import { someIds, stage, type StageOptions } from "./stage.ts";
import type { RunFigures } from "./table.ts";

const PROMPT = 120;
const BLOCK = 32;

export function runText(options: StageOptions): Promise<RunFigures> {
  return stage("understand", options, async ({ model }) => {
    const { config, understanding } = model;
    const prompt = Int32Array.from(someIds(PROMPT, config.embeddingSize, 1));
    const loadAndRead = performance.now();
    const cache = await understanding.read({ ids: prompt });
    const start = performance.now();
    const masks = new Int32Array(BLOCK).fill(config.maskTokenId);
    const logits = await understanding.words(cache, { ids: masks }, Uint32Array.from({ length: BLOCK }, (_, i) => i));
    const end = performance.now();
    cache.release();
    const bad = logits.findIndex((value) => !Number.isFinite(value));
    if (logits.length !== BLOCK * config.embeddingSize || bad >= 0) throw new RangeError("the head gave no logits");
    return {
      seconds: { "load and read 120 tokens": (start - loadAndRead) / 1000, "load head and step": (end - start) / 1000 },
      check: null,
    };
  });
}
