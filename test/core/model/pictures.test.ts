/** Prompts with pictures in them, against PyTorch: training/model/picture_fixture.py, on weights that both sides make. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileSource } from "../../../core/model/byte_source.ts";
import { createModel } from "../../../core/model/model.ts";
import { Safetensors } from "../../../core/model/safetensors.ts";
import type { Model, Picture } from "../../../core/model/types.ts";
import { drawSetup, editSetup } from "../../../core/tasks/draw_setup.ts";
import type { DrawSetup } from "../../../core/tasks/draw_stepper.ts";
import { nodeEngine } from "./node_engine.ts";
import { relativeError } from "./parity.ts";
import { readMetadata } from "./scenes_fixture.ts";
import { randomWeights, smallConfig, smallTokenizer } from "./small_model.ts";

const FILE = new URL("../../fixtures/pictures.safetensors", import.meta.url);
/** Of a tensor's largest value. */
const TOLERANCE = 1e-4;

interface Told {
  readonly config: Record<string, unknown>;
  readonly instruction: string;
  readonly caption: string;
  readonly refused: readonly string[];
}

const told: Told = JSON.parse((await readMetadata(FILE.pathname))["told"] ?? "");
const config = smallConfig(told.config);
const engine = nodeEngine();
let fixture: Safetensors;
let model: Model;

beforeAll(async () => {
  fixture = await Safetensors.open(await fileSource(FILE.pathname, "pictures.safetensors"));
  model = await createModel({ config, weights: randomWeights(config), tokenizer: smallTokenizer(), engine });
});

afterAll(async () => {
  await fixture.close();
  await model.close();
  expect(engine.held).toEqual({ sessions: 0, tensors: 0 });
});

test.each([0, 1, 2, 3] as const)("an edit in mode %i: full, enc and un", async (mode) => {
  const [picture] = await pictures();
  if (picture === undefined) throw new Error("no picture");
  const source = { features: await model.understanding.look(picture, "tiles"), ids: await ids("source") };
  const setup = editSetup({ instruction: told.instruction, mode, imageGuidance: 1 }, source, model);
  await matches(`edit_${mode}`, setup);
});

test("a drawing after feedback: conditional and unconditional", async () => {
  const looked: Float32Array[] = [];
  for (const picture of await pictures()) looked.push(await model.understanding.look(picture, "single"));
  const feedback = told.refused.map((text, i) => ({ text, features: looked[i] ?? new Float32Array() }));
  await matches("feedback", drawSetup({ prompt: told.caption, micro: "", feedback }, model));
});

/** Logits of each row at the positions. */
async function matches(name: string, { rows, suffix, pictures }: DrawSetup): Promise<void> {
  const wanted = await fixture.readFloat(name);
  const positions = Uint32Array.from(await fixture.readInteger("positions"), Number);
  const cache = await model.prompt(rows, suffix, pictures);
  const logits = await model.draw(cache, await ids("ids"), positions);
  cache.release();
  const size = positions.length * config.vqCodes;
  expect(fixture.entries.get(name)?.dims).toEqual([rows.length, positions.length, config.vqCodes]);
  for (const [row, values] of logits.entries()) {
    const error = relativeError(values, wanted.subarray(row * size, (row + 1) * size));
    expect(error, `row ${row}`).toBeLessThan(TOLERANCE);
  }
}

async function ids(name: string): Promise<Uint16Array> {
  return Uint16Array.from(await fixture.readInteger(name), Number);
}

async function pictures(): Promise<Picture[]> {
  const [count = 0, height = 0, width = 0] = fixture.entries.get("pictures")?.dims ?? [];
  const data = Uint8Array.from(await fixture.readInteger("pictures"), Number), size = height * width * 3;
  return Array.from({ length: count }, (_, i) => ({ width, height, data: data.slice(i * size, (i + 1) * size) }));
}
