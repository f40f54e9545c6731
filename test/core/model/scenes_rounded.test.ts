/** The embedded model as an int4 conversion draws with it, against PyTorch on weights that training rounded by itself. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderSource } from "../../../core/model/convert/folder_source.ts";
import { drawPrompt } from "../../../core/model/prompts.ts";
import type { Model } from "../../../core/model/types.ts";
import { Converting } from "./converting.ts";
import { relativeError } from "./parity.ts";
import { openFixture, SCENES } from "./scenes_fixture.ts";

/** Of the largest logit: what is small is fp16 in a conversion, and fp32 in training. */
const TOLERANCE = 4e-3;

const fixture = await openFixture();
let converting: Converting, model: Model;

beforeAll(async () => {
  converting = await Converting.begin();
  const source = await folderSource(SCENES, ["draw"]);
  await converting.run("int4", ["draw"], source);
  await source.close();
  model = await converting.open();
});
afterAll(async () => {
  await fixture.close();
  await model.close();
  await converting.end();
});

test("int4 logits are those of the weights that training takes for rounded", async () => {
  const { rows } = drawPrompt({ prompt: fixture.caption, size: model.config.nativeResolution }, model.tokenizer);
  const ids = Uint16Array.from(await fixture.integers("draw_half/ids"));
  const positions = Uint32Array.from(await fixture.integers("draw_half/positions"));
  const [rounded, exact] = [await fixture.floats("rounded/logits"), await fixture.floats("draw_half/logits")];
  const cache = await model.prompt(rows);
  const drawn = await model.draw(cache, ids, positions);
  cache.release();
  const size = rounded.length / 2;
  for (const [row, values] of drawn.entries()) {
    const part = (all: Float32Array) => all.subarray(row * size, (row + 1) * size);
    const kept = fixture.kept(values, model.config.vqCodes);
    expect(relativeError(kept, part(rounded)), `row ${row}`).toBeLessThan(TOLERANCE);
    expect(relativeError(kept, part(exact)), `row ${row}`).toBeGreaterThan(2 * TOLERANCE);
  }
});
