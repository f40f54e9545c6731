/** Pictures through the `openai` client; what it makes of our errors. */
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readHeader } from "../../core/image/header.ts";
import { pngFile } from "../core/image/samples.ts";
import { headerOf, type OpenAIDoor, openOpenAIDoor, own, PNG, SIDE } from "./openai_door.ts";

let door: OpenAIDoor;
beforeAll(async () => {
  door = await openOpenAIDoor();
});
afterAll(() => door?.close());

test("generate", async () => {
  const answer = await door.client.images.generate(own({ prompt: "a dog", n: 2, seed: 7, steps: 3 }));
  expect(answer.data?.map(({ b64_json }) => headerOf(b64_json))).toEqual([PNG, PNG]);
  expect(answer).toMatchObject({ output_format: "png", background: "opaque", size: `${SIDE}x${SIDE}` });
  const { usage } = answer;
  expect(usage?.output_tokens).toBe(2 * 64);
  expect(usage?.input_tokens).toBeGreaterThan(20);
  expect(usage?.total_tokens).toBe((usage?.input_tokens ?? 0) + 128);
  const again = await door.client.images.generate(own({ prompt: "a dog", seed: 8, steps: 3 }));
  expect(again.data?.[0]?.b64_json).toBe(answer.data?.[1]?.b64_json);
});

test("generate as a link, in another format", async () => {
  const { data } = await door.client.images.generate(
    own({ prompt: "a dog", response_format: "url" as const, output_format: "webp" as const, steps: 2 }),
  );
  const file = await fetch(data?.[0]?.url ?? "");
  expect(file.headers.get("content-type")).toBe("image/webp");
  expect(readHeader(new Uint8Array(await file.arrayBuffer())).format).toBe("webp");
});

test("generate as a stream, with partial images", async () => {
  const stream = await door.client.images.generate(
    own({ prompt: "a dog", seed: 3, steps: 6, stream: true as const, partial_images: 2 }),
  );
  const types: string[] = [];
  const pictures = new Set<string>();
  for await (const event of stream) {
    types.push(event.type);
    pictures.add(event.b64_json);
    expect(headerOf(event.b64_json)).toEqual(PNG);
    if (event.type === "image_generation.partial_image") expect(event.partial_image_index).toBe(types.length - 1);
    else expect(event.usage.output_tokens).toBe(64);
  }
  const partial = "image_generation.partial_image";
  expect(types).toEqual([partial, partial, "image_generation.completed"]);
  expect(pictures.size).toBe(3);
});

test("edit, whole and under a mask; a stream of it", async () => {
  const file = () => toFile(door.image, "in.png", { type: "image/png" });
  const answer = await door.client.images.edit(own({ image: await file(), prompt: "make it blue", seed: 5, steps: 3 }));
  expect(headerOf(answer.data?.[0]?.b64_json)).toEqual(PNG);
  const { usage } = answer;
  expect(usage?.input_tokens_details.image_tokens).toBeGreaterThan(16);
  expect(usage?.input_tokens_details.text_tokens).toBeGreaterThan(20);

  // Transparent in its left half.
  const row = [0, ...Array.from({ length: 60 }, (_, x) => [0, 0, 0, x < 30 ? 0 : 255]).flat()];
  const rows = Array.from({ length: 40 }, () => row).flat();
  const mask = await toFile(pngFile({ width: 60, height: 40, depth: 8, colour: 6, rows }), "mask.png", {
    type: "image/png",
  });
  const masked = await door.client.images.edit(
    own({ image: await file(), mask, prompt: "make it blue", seed: 5, steps: 3 }),
  );
  expect(masked.data?.[0]?.b64_json).not.toBe(answer.data?.[0]?.b64_json);

  const stream = await door.client.images.edit(
    own({ image: await file(), prompt: "make it blue", seed: 5, steps: 3, stream: true as const, partial_images: 1 }),
  );
  const events = [];
  for await (const event of stream) events.push(event);
  expect(events.map(({ type }) => type)).toEqual(["image_edit.partial_image", "image_edit.completed"]);
  expect(events.at(-1)?.b64_json).toBe(answer.data?.[0]?.b64_json);
});

test.each([
  ["several images", ["image", "image"], {}, 400, "several_images_unsupported"],
  ["no picture", [], {}, 400, "missing_required_parameter"],
  ["a field that is none", ["image"], { colour: "red" }, 400, "unknown_parameter"],
  ["high fidelity", ["image"], { input_fidelity: "high" }, 400, "input_fidelity_unsupported"],
  ["another size", ["image"], { size: "1024x1024" }, 400, "size_unsupported"],
  ["n as a word", ["image"], { n: "two" }, 400, "invalid_type"],
])("edit refuses %s", async (_, files, fields, status, code) => {
  const form = new FormData();
  for (const name of files) form.append(name, new File([new Uint8Array(door.image)], "in.png"));
  for (const [name, value] of Object.entries({ prompt: "make it blue", ...fields })) form.append(name, value);
  const headers = { authorization: `Bearer ${door.client.apiKey}` };
  const response = await fetch(`${door.url}/v1/images/edits`, { method: "POST", body: form, headers });
  expect([response.status, (await response.json()).error.code]).toEqual([status, code]);
});

test("models, and what is not one", async () => {
  const models = [];
  for await (const model of door.client.models.list()) models.push(model.id);
  expect(models).toEqual(["small"]);
  await expect(door.client.models.retrieve("gpt-5")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
});

test("a wrong key, a wrong field, a wrong word in a stream", async () => {
  const stranger = new OpenAI({ baseURL: door.client.baseURL, apiKey: "sk-none", maxRetries: 0 });
  await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  const refused = door.client.images.generate({ prompt: "a dog", quality: "hd" });
  await expect(refused).rejects.toMatchObject({ status: 400, code: "quality_unsupported", param: "quality" });
  const stream = door.client.images.generate({ prompt: "say <|eot_id|>", stream: true });
  await expect(stream).rejects.toMatchObject({ status: 400, code: "prompt_reserved" });
});
