/**
 * The real `openai` client, unchanged but for address and key, against a real server on a real port: a model with every
 * part and random weights, in its thread, over a store in memory.
 */
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodePicture } from "../../core/image/codec.ts";
import { readHeader } from "../../core/image/header.ts";
import { type House, openHouse } from "../../core/runs/house.ts";
import { openInference, type RemoteInference } from "../../core/tasks/remote.ts";
import { doorsOf } from "../../functions/doors.ts";
import { serve, type Server } from "../../functions/serve.ts";
import { pngFile } from "../core/image/samples.ts";
import { writeSmallFolder } from "../core/model/small_model.ts";
import { picture } from "../core/tasks/seeing_model.ts";

const SIDE = 128;
let folder: string;
let inference: RemoteInference;
let house: House;
let server: Server;
let client: OpenAI;
let image: Uint8Array;

beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "unmask-openai-" });
  await writeSmallFolder(`${folder}/small`, { max_sequence_length: 4096, tokenizer_model_max_length: 4096 });
  inference = await openInference({ modelFolder: `${folder}/small`, provider: "cpu", threads: 1 });
  const encode = encodePicture;
  house = await openHouse({ inference, modelFolder: `${folder}/small`, store: ":memory:", encode, poll: 20 });
  const { text: apiKey } = await house.keys.create({ name: "test" });
  const { keys, ...doors } = doorsOf(house, { model: "small", imageSize: SIDE, encode });
  const each = Object.fromEntries(Object.entries(doors).map(([name, door]) => [name, Promise.resolve(door)]));
  server = serve({
    inference: Promise.resolve(inference),
    ...each,
    access: { policy: "keys", keys: Promise.resolve(keys) },
    port: 0,
  });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
  image = await encodePicture(picture(60, 40), "png");
});
afterAll(async () => {
  await server?.shutdown();
  await house?.close();
  await inference?.close();
  await Deno.remove(folder, { recursive: true });
});

/** Ours beside OpenAI's fields, which the client's types do not know. */
const own = <T>(fields: T) => fields as T & Record<never, never>;
const bytes = (base64: string | undefined) => Uint8Array.fromBase64(base64 ?? "");
const png = { format: "png", width: SIDE, height: SIDE };
const dataUrl = () => `data:image/png;base64,${image.toBase64()}`;
const fromUrl = (url: string | undefined) => readHeader(bytes(url?.split(",")[1]));

describe("images", () => {
  test("generate", async () => {
    const answer = await client.images.generate(own({ prompt: "a dog", n: 2, seed: 7, steps: 3 }));
    expect(answer.data?.map(({ b64_json }) => readHeader(bytes(b64_json)))).toEqual([png, png]);
    expect(answer).toMatchObject({ output_format: "png", background: "opaque", size: `${SIDE}x${SIDE}` });
    const { usage } = answer;
    expect(usage?.output_tokens).toBe(2 * 64);
    expect(usage?.input_tokens).toBeGreaterThan(20);
    expect(usage?.total_tokens).toBe((usage?.input_tokens ?? 0) + 128);
    const again = await client.images.generate(own({ prompt: "a dog", seed: 8, steps: 3 }));
    expect(again.data?.[0]?.b64_json).toBe(answer.data?.[1]?.b64_json);
  });

  test("generate as a link, in another format", async () => {
    const { data } = await client.images.generate(
      own({ prompt: "a dog", response_format: "url" as const, output_format: "webp" as const, steps: 2 }),
    );
    const file = await fetch(data?.[0]?.url ?? "");
    expect(file.headers.get("content-type")).toBe("image/webp");
    expect(readHeader(new Uint8Array(await file.arrayBuffer())).format).toBe("webp");
  });

  test("generate as a stream, with partial images", async () => {
    const stream = await client.images.generate(
      own({ prompt: "a dog", seed: 3, steps: 6, stream: true as const, partial_images: 2 }),
    );
    const types: string[] = [];
    const pictures = new Set<string>();
    for await (const event of stream) {
      types.push(event.type);
      pictures.add(event.b64_json);
      expect(readHeader(bytes(event.b64_json))).toEqual(png);
      if (event.type === "image_generation.partial_image") expect(event.partial_image_index).toBe(types.length - 1);
      else expect(event.usage.output_tokens).toBe(64);
    }
    const partial = "image_generation.partial_image";
    expect(types).toEqual([partial, partial, "image_generation.completed"]);
    expect(pictures.size).toBe(3);
  });

  test("edit, whole and under a mask; a stream of it", async () => {
    const file = () => toFile(image, "in.png", { type: "image/png" });
    const answer = await client.images.edit(own({ image: await file(), prompt: "make it blue", seed: 5, steps: 3 }));
    expect(readHeader(bytes(answer.data?.[0]?.b64_json))).toEqual(png);
    const { usage } = answer;
    expect(usage?.input_tokens_details.image_tokens).toBeGreaterThan(16);
    expect(usage?.input_tokens_details.text_tokens).toBeGreaterThan(20);

    // Transparent in its left half.
    const row = [0, ...Array.from({ length: 60 }, (_, x) => [0, 0, 0, x < 30 ? 0 : 255]).flat()];
    const rows = Array.from({ length: 40 }, () => row).flat();
    const mask = await toFile(pngFile({ width: 60, height: 40, depth: 8, colour: 6, rows }), "mask.png", {
      type: "image/png",
    });
    const masked = await client.images.edit(
      own({ image: await file(), mask, prompt: "make it blue", seed: 5, steps: 3 }),
    );
    expect(masked.data?.[0]?.b64_json).not.toBe(answer.data?.[0]?.b64_json);

    const stream = await client.images.edit(
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
    for (const name of files) form.append(name, new File([new Uint8Array(image)], "in.png"));
    for (const [name, value] of Object.entries({ prompt: "make it blue", ...fields })) form.append(name, value);
    const headers = { authorization: `Bearer ${client.apiKey}` };
    const response = await fetch(`${server.url}/v1/images/edits`, { method: "POST", body: form, headers });
    expect([response.status, (await response.json()).error.code]).toEqual([status, code]);
  });
});

describe("chat", () => {
  const ask = (content: OpenAI.ChatCompletionUserMessageParam["content"]) => ({ role: "user" as const, content });
  const seen = () => ask([{ type: "text", text: "what is it" }, { type: "image_url", image_url: { url: dataUrl() } }]);

  test("answers, and the same again for the same", async () => {
    const body = { model: "small", messages: [ask("what is two plus three")], max_tokens: 32, seed: 4, temperature: 1 };
    const first = await client.chat.completions.create(body);
    expect(first).toMatchObject({ object: "chat.completion", model: "small" });
    const [choice] = first.choices;
    expect(choice?.message).toMatchObject({ role: "assistant", refusal: null, content: expect.any(String) });
    expect(["stop", "length"]).toContain(choice?.finish_reason);
    expect(first.usage?.completion_tokens).toBeGreaterThan(0);
    expect(first.usage?.completion_tokens).toBeLessThanOrEqual(32);
    expect(first.usage?.prompt_tokens).toBeGreaterThan(20);
    expect((await client.chat.completions.create(body)).choices[0]?.message.content).toBe(choice?.message.content);
  });

  test("streams block by block what it would have answered", async () => {
    const body = {
      model: "small",
      messages: [ask("tell me of dogs")],
      max_completion_tokens: 64,
      seed: 9,
      temperature: 1,
    };
    const whole = await client.chat.completions.create(body);
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    const finishes = [];
    const parts = [];
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      if (choice === undefined) usage = chunk.usage;
      if (choice?.delta.content) parts.push(choice.delta.content);
      text += choice?.delta.content ?? "";
      if (choice?.finish_reason) finishes.push(choice.finish_reason);
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(finishes).toEqual([whole.choices[0]?.finish_reason]);
    expect(usage).toEqual(whole.usage);
    // Blocks of 16 tokens: more than one part, unless it ended in the first.
    if ((usage?.completion_tokens ?? 0) > 32) expect(parts.length).toBeGreaterThan(1);
  });

  test("sees a picture, and pictures of its history", async () => {
    const one = await client.chat.completions.create({ model: "small", messages: [seen()], max_tokens: 16, seed: 1 });
    const imageTokens = ({ usage }: OpenAI.ChatCompletion) =>
      (usage?.prompt_tokens_details as { image_tokens?: number } | undefined)?.image_tokens ?? 0;
    // Alone it is seen as a whole and in tiles; one of two, as a whole.
    expect(imageTokens(one)).toBeGreaterThan(0);
    const many = await client.chat.completions.create({
      model: "small",
      messages: [
        { role: "system", content: "You are terse." },
        seen(),
        { role: "assistant", content: "a dog" },
        seen(),
      ],
      max_tokens: 16,
      seed: 1,
    });
    expect(imageTokens(many)).toBeGreaterThan(0);
    expect(imageTokens(many) % 2).toBe(0);
    expect(imageTokens(many)).not.toBe(2 * imageTokens(one));
  });

  test("draws, edits and points, in the shapes of gateways", async () => {
    type Own = {
      images?: { image_url: { url: string } }[];
      annotations?: { type: string; label: string; xyxy: number[] }[];
    };
    const create = async (body: Record<string, unknown>) => {
      const answer = await client.chat.completions.create(
        { model: "small", ...body } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming,
      );
      return { ...answer, own: answer.choices[0]?.message as unknown as Own };
    };
    const draw = { modalities: ["image", "text"], messages: [ask("a dog")], seed: 2, unmask: { steps: 3 } };
    const drawn = await create(draw);
    expect(fromUrl(drawn.own.images?.[0]?.image_url.url)).toEqual(png);
    expect(drawn.choices[0]?.message.content).toBe("");
    expect(drawn.usage?.completion_tokens).toBe(64);

    const edited = await create({ ...draw, messages: [seen()] });
    expect(fromUrl(edited.own.images?.[0]?.image_url.url)).toEqual(png);
    expect(edited.own.images?.[0]?.image_url.url).not.toBe(drawn.own.images?.[0]?.image_url.url);

    const found = await create({
      messages: [seen()],
      unmask: { task: "ground", expressions: ["the dog", "the red cup"] },
    });
    expect(found.own.annotations?.map(({ type, label }) => [type, label])).toEqual([
      ["box", "the dog"],
      ["box", "the red cup"],
    ]);
    for (const { xyxy: [left = -1, top = -1, right = 999, bottom = 999] } of found.own.annotations ?? []) {
      expect(0 <= left && left <= right && right <= 60 && 0 <= top && top <= bottom && bottom <= 40).toBe(true);
    }
    expect(found.choices[0]?.message.content).toContain("the red cup: [");

    const stream = await client.chat.completions.create(
      { model: "small", ...draw, stream: true } as unknown as OpenAI.ChatCompletionCreateParamsStreaming,
    );
    const urls = [];
    for await (const chunk of stream) {
      for (const { image_url } of (chunk.choices[0]?.delta as Own).images ?? []) urls.push(image_url.url);
    }
    expect(urls).toEqual([drawn.own.images?.[0]?.image_url.url]);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["tools", { tools: [{ type: "function", function: { name: "f" } }] }, "tools_unsupported"],
    ["a tool's answer", { messages: [{ role: "tool", content: "4", tool_call_id: "x" }] }, "tools_unsupported"],
    ["two choices", { n: 2 }, "n_unsupported"],
    ["nucleus sampling", { top_p: 0.9 }, "top_p_unsupported"],
    ["stop words", { stop: ["."] }, "stop_unsupported"],
    ["probabilities", { logprobs: true }, "logprobs_unsupported"],
    ["JSON mode", { response_format: { type: "json_object" } }, "response_format_unsupported"],
    ["audio", { modalities: ["audio"] }, "modalities_unsupported"],
    ["both limits", { max_tokens: 3, max_completion_tokens: 4 }, "max_tokens_twice"],
    ["a field that is none", { colour: "red" }, "unknown_parameter"],
    [
      "an address",
      { messages: [ask([{ type: "image_url", image_url: { url: "https://a.example/x.png" } }])] },
      "image_url_not_allowed",
    ],
    [
      "a file's address",
      { messages: [ask([{ type: "image_url", image_url: { url: "file:///etc/passwd" } }])] },
      "image_url_unsupported",
    ],
    [
      "no base64",
      { messages: [ask([{ type: "image_url", image_url: { url: "data:image/png;base64,%%" } }])] },
      "image_invalid",
    ],
    ["an assistant's last word", { messages: [{ role: "assistant", content: "hm" }] }, "last_message_not_user"],
    ["a late system message", { messages: [ask("a"), { role: "system", content: "b" }, ask("c")] }, "system_not_first"],
    ["a control token", { messages: [ask("say <|eot_id|>")] }, "prompt_reserved"],
    ["more than fits", { messages: [ask("dog ".repeat(4000))] }, "context_length_exceeded"],
    ["a picture where none is taken", { modalities: ["image"], unmask: { task: "edit" } }, "picture_missing"],
    ["steps of an answer", { unmask: { steps: 3 } }, "option_unused"],
    ["stream options without a stream", { stream_options: { include_usage: true } }, "stream_options_unsupported"],
  ])("refuses %s", async (_, body, code) => {
    const asked = { model: "small", messages: [ask("what")], ...body };
    const call = client.chat.completions.create(asked as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming);
    await expect(call).rejects.toMatchObject({ status: 400, code });
  });

  test("accepts every default of OpenAI's", async () => {
    const defaults = {
      n: 1,
      top_p: 1,
      temperature: 1,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: {},
      logprobs: false,
      stop: null,
      stream: false,
      store: false,
      metadata: {},
      tools: [],
      tool_choice: "none",
      parallel_tool_calls: true,
      response_format: { type: "text" },
      service_tier: "auto",
      modalities: ["text"],
      verbosity: "medium",
      user: "somebody",
      prompt_cache_key: "k",
      safety_identifier: "s",
      max_completion_tokens: 16,
    };
    const asked = { model: "small", messages: [ask("what")], ...defaults };
    const answer = await client.chat.completions.create(
      asked as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming,
    );
    expect(answer.choices).toHaveLength(1);
  });
});

describe("the client's own errors", () => {
  test("models, and what is not one", async () => {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    expect(models).toEqual(["small"]);
    await expect(client.models.retrieve("gpt-5")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  test("a wrong key, a wrong field, a wrong word in a stream", async () => {
    const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: "sk-none", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const refused = client.images.generate({ prompt: "a dog", quality: "hd" });
    await expect(refused).rejects.toMatchObject({ status: 400, code: "quality_unsupported", param: "quality" });
    const stream = client.images.generate({ prompt: "say <|eot_id|>", stream: true });
    await expect(stream).rejects.toMatchObject({ status: 400, code: "prompt_reserved" });
  });
});
