/** Chat through the `openai` client: answers, streams, pictures in and out, and what is refused. */
import type OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dataUrl, headerOf, type OpenAIDoor, openOpenAIDoor, PNG } from "./openai_door.ts";

let door: OpenAIDoor;
beforeAll(async () => {
  door = await openOpenAIDoor();
});
afterAll(() => door?.close());

const urlHeader = (url: string | undefined) => headerOf(url?.split(",")[1]);
const ask = (content: OpenAI.ChatCompletionUserMessageParam["content"]) => ({ role: "user" as const, content });
const seen = () =>
  ask([{ type: "text", text: "what is it" }, { type: "image_url", image_url: { url: dataUrl(door.image) } }]);

test("answers, and the same again for the same", async () => {
  const body = { model: "small", messages: [ask("what is two plus three")], max_tokens: 32, seed: 4, temperature: 1 };
  const first = await door.client.chat.completions.create(body);
  expect(first).toMatchObject({ object: "chat.completion", model: "small" });
  const [choice] = first.choices;
  expect(choice?.message).toMatchObject({ role: "assistant", refusal: null, content: expect.any(String) });
  expect(["stop", "length"]).toContain(choice?.finish_reason);
  expect(first.usage?.completion_tokens).toBeGreaterThan(0);
  expect(first.usage?.completion_tokens).toBeLessThanOrEqual(32);
  expect(first.usage?.prompt_tokens).toBeGreaterThan(20);
  expect((await door.client.chat.completions.create(body)).choices[0]?.message.content).toBe(choice?.message.content);
});

test("streams block by block what it would have answered", async () => {
  const body = {
    model: "small",
    messages: [ask("tell me of dogs")],
    max_completion_tokens: 64,
    seed: 9,
    temperature: 1,
  };
  const whole = await door.client.chat.completions.create(body);
  const stream = await door.client.chat.completions.create({
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
  const one = await door.client.chat.completions.create({
    model: "small",
    messages: [seen()],
    max_tokens: 16,
    seed: 1,
  });
  const imageTokens = ({ usage }: OpenAI.ChatCompletion) =>
    (usage?.prompt_tokens_details as { image_tokens?: number } | undefined)?.image_tokens ?? 0;
  // Alone it is seen as a whole and in tiles; one of two, as a whole.
  expect(imageTokens(one)).toBeGreaterThan(0);
  const many = await door.client.chat.completions.create({
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
    const answer = await door.client.chat.completions.create(
      { model: "small", ...body } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming,
    );
    return { ...answer, own: answer.choices[0]?.message as unknown as Own };
  };
  const draw = { modalities: ["image", "text"], messages: [ask("a dog")], seed: 2, unmask: { steps: 3 } };
  const drawn = await create(draw);
  expect(urlHeader(drawn.own.images?.[0]?.image_url.url)).toEqual(PNG);
  expect(drawn.choices[0]?.message.content).toBe("");
  expect(drawn.usage?.completion_tokens).toBe(64);

  const edited = await create({ ...draw, messages: [seen()] });
  expect(urlHeader(edited.own.images?.[0]?.image_url.url)).toEqual(PNG);
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

  const stream = await door.client.chat.completions.create(
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
  const call = door.client.chat.completions.create(asked as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming);
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
  const answer = await door.client.chat.completions.create(
    asked as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming,
  );
  expect(answer.choices).toHaveLength(1);
});
