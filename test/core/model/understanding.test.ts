/** What a prompt's cache holds, and where a sequence ends. */
import { expect, test } from "vitest";
import { createUnderstanding } from "../../../core/model/understanding.ts";
import { standInTokenizer } from "../../../commands/parity/stand_in_tokenizer.ts";
import { nodeEngine } from "./node_engine.ts";
import { randomWeights, smallConfig } from "./small_model.ts";

const config = smallConfig();

function open() {
  const engine = nodeEngine();
  const tokenizer = { ...standInTokenizer(), id: () => 100 };
  return { engine, understanding: createUnderstanding({ config, weights: randomWeights(config), tokenizer, engine }) };
}

test("a cache is two tensors a layer; answers leave nothing behind", async () => {
  const { engine, understanding } = open();
  const cache = await understanding.read({ ids: Int32Array.of(10, 11, 12) });
  expect(engine.held.tensors).toBe(2 * config.layers);
  await understanding.words(cache, { ids: Int32Array.of(1, 1) }, Uint32Array.of(0));
  await understanding.locations(undefined, { ids: Int32Array.of(10, 1) }, Uint32Array.of(1));
  expect(engine.held.tensors).toBe(2 * config.layers);
  cache.release();
  await understanding.close();
  expect(engine.held).toEqual({ sessions: 0, tensors: 0 });
});

test("a sequence longer than the model's positions is refused, alone and behind a cache", async () => {
  const { understanding } = open();
  const most = config.maxPositions;
  const tokens = (count: number) => ({ ids: new Int32Array(count).fill(10) });
  const refused = {
    code: "sequence_too_long",
    message: `the sequence has ${most + 1} tokens, the model takes ${most}`,
  };
  await expect(understanding.read(tokens(most + 1))).rejects.toMatchObject(refused);
  await expect(understanding.words(undefined, tokens(most + 1), Uint32Array.of(0))).rejects.toMatchObject(refused);
  const cache = await understanding.read(tokens(most - 1));
  expect((await understanding.words(cache, tokens(1), Uint32Array.of(0))).length).toBe(config.embeddingSize);
  await expect(understanding.words(cache, tokens(2), Uint32Array.of(0))).rejects.toMatchObject(refused);
  cache.release();
  await understanding.close();
});
