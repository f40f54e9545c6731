/** An edit's source picture under `prefix` attention, against fp64 loops that share no code with the graphs. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { IMAGE_ID, TOKENS } from "../../../core/model/chat_template.ts";
import { createModel } from "../../../core/model/model.ts";
import type { Model } from "../../../core/model/types.ts";
import type { TensorSource } from "../../../core/model/weights.ts";
import { standInTokenizer } from "../../../commands/parity/stand_in_tokenizer.ts";
import { nodeEngine } from "./node_engine.ts";
import { parityConfig, parityWeights, relativeError } from "./parity.ts";
import { referenceLogits } from "./reference.ts";

const TOLERANCE = 1e-4;
const config = parityConfig({ prompt_attention: "prefix" });
const engine = nodeEngine();
const tokenizer = standInTokenizer();
const token = tokenizer.id(TOKENS.sourceImage);
let weights: TensorSource;
let model: Model;

const width = 4;
const target = Uint16Array.from({ length: 16 }, (_, i) => i % 3 === 0 ? config.vqMaskId : (i * 977) % config.vqCodes);
const source = { ids: Uint16Array.from({ length: 24 }, (_, i) => (i * 411 + 5) % config.vqCodes), width: 6 };
const every = Uint32Array.from(target.keys());
/** Five words, the source's six cells, three words. */
const full = Int32Array.of(1000, 1041, 1077, 1003, 1099, ...new Array<number>(6).fill(token), 1055, 1066, 1012);
const enc = full.map((id) => id === token ? id : config.maskTokenId);
const un = full.map((_, i) => i < 12 ? config.maskTokenId : 1012);

beforeAll(async () => {
  weights = await parityWeights();
  model = await createModel({ config, weights, tokenizer, engine });
});

afterAll(async () => {
  await model.close();
  expect(engine.held).toEqual({ sessions: 0, tensors: 0 });
});

test("rows with and without the source, in one prompt", async () => {
  const cache = await model.prompt([full, un, enc], undefined, { source });
  expect(cache).toMatchObject({ rows: 3, length: full.length });
  const logits = await model.draw(cache, target, every, width);
  for (const [row, prompt] of [full, un, enc].entries()) {
    const expected = await referenceLogits(config, weights, prompt, target, width, { ...source, token });
    expect(relativeError(logits[row] ?? [], expected), `row ${row}`).toBeLessThan(TOLERANCE);
  }
  cache.release();
});

test("the source matters in split layers too", async () => {
  const other = { ...source, ids: source.ids.map((id) => id + 1) };
  const [cache, changed] = [
    await model.prompt([enc], undefined, { source }),
    await model.prompt([enc], undefined, { source: other }),
  ];
  const [before = []] = await model.draw(cache, target, every, width);
  const [after = []] = await model.draw(changed, target, every, width);
  expect(relativeError(after, before)).toBeGreaterThan(1e-3);
  cache.release();
  changed.release();
});

test("a source whose cells are not those of the prompt is refused", async () => {
  const small = { ids: source.ids.subarray(0, 16), width: 4 };
  await expect(model.prompt([full], undefined, { source: small })).rejects.toThrow(/6 source tokens/);
});

test("picture tokens stand at their places, and their number must be right", async () => {
  const prompt = Int32Array.of(1000, IMAGE_ID, IMAGE_ID, 1001);
  const features = Float32Array.from({ length: 2 * config.dModel }, (_, i) => Math.sin(i));
  const cache = await model.prompt([prompt, prompt.map(() => config.maskTokenId)], undefined, { features });
  const [seen = [], masked = []] = await model.draw(cache, target, every, width);
  expect(relativeError(seen, masked)).toBeGreaterThan(1e-3);
  cache.release();
  const long = new Float32Array(3 * config.dModel);
  await expect(model.prompt([prompt], undefined, { features: long })).rejects.toThrow(/2 places for 3/);
  await expect(model.prompt([prompt])).rejects.toMatchObject({ code: "token_out_of_range" });
});
