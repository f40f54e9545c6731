/** Every graph that sees, answers, finds, edits and draws after feedback, on the shipped weights, against PyTorch. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEngine } from "../../../core/engine/choose.ts";
import type { Engine, Provider } from "../../../core/engine/types.ts";
import { encodeWithImages, IMAGE_ID } from "../../../core/model/chat_template.ts";
import { openFolder } from "../../../core/model/folder.ts";
import { openModel } from "../../../core/model/open_model.ts";
import { answerText } from "../../../core/model/prompts/answer.ts";
import { groundListText, groundPrompt } from "../../../core/model/prompts.ts";
import type { Model, Picture } from "../../../core/model/types.ts";
import { drawSetup, editSetup } from "../../../core/tasks/draw_setup.ts";
import type { DrawSetup } from "../../../core/tasks/draw_stepper.ts";
import { describeWebGpu } from "../engine/adapter.ts";
import { relativeError } from "./parity.ts";
import { fixtureProblem, openFixture, SCENES } from "./scenes_fixture.ts";

/** Of a tensor's largest value. */
const TOLERANCE = 1e-4;
/** Where PyTorch's ids hold a picture's token. */
const PICTURE = -1;

const fixture = await openFixture();
afterAll(() => fixture.close());
const told = fixture.told ?? { question: "", expressions: [], instruction: "", refused: "" };

test("there are cases if, and only if, the weights can see", async () => {
  const folder = await openFolder(SCENES);
  expect(fixture.told !== undefined).toBe(folder.config.vision !== undefined);
  await folder.close();
});

function graphs(provider: Provider): void {
  let engine: Engine;
  let model: Model;
  let picture: Picture;

  beforeAll(async () => {
    expect(await fixtureProblem()).toBeUndefined();
    engine = await openEngine({ provider, threads: 1, allowSoftwareAdapter: true });
    model = await openModel({ folder: SCENES, engine });
    const [height = 0, width = 0] = fixture.dims("sight/picture");
    picture = { width, height, data: Uint8Array.from(await fixture.integers("sight/picture")) };
  });
  afterAll(async () => {
    await model?.close();
    await engine?.close();
  });

  test.each([["tiles", "tokens"], ["single", "single"]] as const)("sight: %s", async (look, name) => {
    const wanted = await fixture.floats(`sight/${name}`);
    expect(relativeError(await model.understanding.look(picture, look), wanted)).toBeLessThan(TOLERANCE);
  });

  test("answer: logits of the masked words behind the cached prompt", async () => {
    const features = await model.understanding.look(picture, "tiles");
    const ids = await idsOf("answer");
    const [length = 0] = await fixture.integers("answer/prompt");
    const text = answerText(told.question, { image: true });
    expect(ids.subarray(0, length)).toEqual(
      encodeWithImages(text, model.tokenizer, [features.length / model.config.dModel]),
    );
    const cache = await model.understanding.read({ ids: ids.subarray(0, length), features });
    const asked = Uint32Array.from(await fixture.integers("answer/asked"), (place) => place - length);
    expect(asked.length).toBeGreaterThan(10);
    const logits = await model.understanding.words(cache, { ids: ids.subarray(length) }, asked);
    cache.release();
    expect(relativeError(logits, await fixture.floats("answer/logits"))).toBeLessThan(TOLERANCE);
  });

  test("find: logits of the places of a list, in one forward", async () => {
    const features = await model.understanding.look(picture, "tiles");
    const prompt = groundPrompt(
      groundListText(told.expressions),
      features.length / model.config.dModel,
      model.tokenizer,
    );
    expect(prompt.ids).toEqual(await idsOf("find"));
    expect(Array.from(prompt.maskPositions)).toEqual(await fixture.integers("find/asked"));
    const logits = await model.understanding.locations(undefined, { ids: prompt.ids, features }, prompt.maskPositions);
    expect(relativeError(logits, await fixture.floats("find/logits"))).toBeLessThan(TOLERANCE);
  });

  test("edit: full, enc and un", async () => {
    const source = {
      features: await model.understanding.look(picture, "tiles"),
      ids: Uint16Array.from(await fixture.integers("pictured/source")),
    };
    await drawn("edit", editSetup({ instruction: told.instruction, imageGuidance: 1 }, source, model));
  });

  test("feedback: conditional and unconditional", async () => {
    const features = await model.understanding.look(picture, "single");
    const feedback = [{ text: told.refused, features }];
    await drawn("feedback", drawSetup({ prompt: fixture.caption, micro: "", feedback }, model));
  });

  async function drawn(name: string, { rows, suffix, pictures }: DrawSetup): Promise<void> {
    const positions = Uint32Array.from(await fixture.integers("pictured/positions"));
    const cache = await model.prompt(rows, suffix, pictures);
    const logits = await model.draw(cache, Uint16Array.from(await fixture.integers("pictured/ids")), positions);
    cache.release();
    const wanted = await fixture.floats(`${name}/logits`), { vqCodes } = model.config;
    const size = wanted.length / rows.length;
    expect(fixture.dims(`${name}/logits`).slice(0, 2)).toEqual([rows.length, positions.length]);
    for (const [row, values] of logits.entries()) {
      const theirs = wanted.subarray(row * size, (row + 1) * size);
      expect(relativeError(fixture.kept(values, vqCodes), theirs), `row ${row}`).toBeLessThan(TOLERANCE);
    }
  }
}

async function idsOf(name: string): Promise<Int32Array> {
  return Int32Array.from(await fixture.integers(`${name}/ids`), (id) => id === PICTURE ? IMAGE_ID : id);
}

if (fixture.told !== undefined) {
  describe("cpu", () => graphs("cpu"));
  describe("wasm", () => graphs("wasm"));
  describeWebGpu("webgpu", () => graphs("webgpu"));
}
