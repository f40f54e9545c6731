import { describe, expect, it } from "vitest";
import type { ImagesAnswer } from "../../functions/routes/images.ts";
import { appWith, double, IMAGES, json } from "./double.ts";

const text = (base64: string | undefined) => new TextDecoder().decode(Uint8Array.fromBase64(base64 ?? ""));

async function answerTo(body: unknown, inference = double()): Promise<ImagesAnswer> {
  const response = await appWith(inference).request(IMAGES, json(body));
  expect(response.status, await response.clone().text()).toBe(200);
  return await response.json();
}

describe("POST /v1/images/generations", () => {
  it("answers in OpenAI's shape, with the real token counts and what was drawn", async () => {
    const before = Math.floor(Date.now() / 1000);
    const answer = await answerTo({ prompt: "a photo of a dog", seed: 7 });
    expect(answer.created).toBeGreaterThanOrEqual(before);
    expect(text(answer.data[0]?.b64_json)).toBe("png - 7");
    expect(answer).toMatchObject({
      size: "256x256",
      quality: "auto",
      background: "opaque",
      output_format: "png",
      usage: {
        input_tokens: 11,
        output_tokens: 256,
        total_tokens: 267,
        input_tokens_details: { text_tokens: 11, image_tokens: 0 },
      },
      unmask: {
        model: "scenes",
        provider: "cpu",
        seed: 7,
        steps: 32,
        guidance: 0.5,
        order: "stratified",
        seconds: 0.25,
      },
    });
  });

  it("hands our options to the draw and leaves absent ones to the core", async () => {
    const inference = double();
    await answerTo({ prompt: "a dog", seed: 3, steps: 8, guidance: 1.5, order: "halton" }, inference);
    await answerTo({ prompt: "a dog", seed: 3, steps: null }, inference);
    expect(inference.seen.requests).toEqual([
      { prompt: "a dog", seed: 3, steps: 8, guidance: 1.5, order: "halton" },
      { prompt: "a dog", seed: 3 },
    ]);
  });

  it("draws n pictures with the seeds that follow", async () => {
    const answer = await answerTo({ prompt: "a dog", n: 3, seed: 10 });
    expect(answer.data.map(({ seed, b64_json }) => [seed, text(b64_json)])).toEqual([
      [10, "png - 10"],
      [11, "png - 11"],
      [12, "png - 12"],
    ]);
    expect(answer.usage).toMatchObject({ input_tokens: 33, output_tokens: 768, total_tokens: 801 });
  });

  it("draws with another seed each time when none is given, and says which", async () => {
    const seeds = await Promise.all([1, 2, 3].map(async () => (await answerTo({ prompt: "a dog" })).data[0]?.seed));
    expect(new Set(seeds).size).toBe(3);
  });

  it("accepts every field of OpenAI's at its default, and null as absent", async () => {
    await answerTo({
      prompt: "a dog",
      model: "scenes",
      n: 1,
      size: "auto",
      quality: "auto",
      background: "auto",
      moderation: "auto",
      style: "vivid",
      stream: false,
      partial_images: 0,
      user: "somebody",
      response_format: "b64_json",
      output_format: "png",
    });
    for (const size of ["256x256", null]) await answerTo({ prompt: "a dog", size, background: "opaque", model: null });
  });

  it.each([
    ["jpeg", undefined, "jpeg 100 5"],
    ["jpeg", 40, "jpeg 40 5"],
    ["webp", 0, "webp 0 5"],
  ])("encodes %s with output_compression %s", async (output_format, output_compression, expected) => {
    const answer = await answerTo({ prompt: "a dog", seed: 5, output_format, output_compression });
    expect(text(answer.data[0]?.b64_json)).toBe(expected);
    expect(answer.output_format).toBe(output_format);
  });

  it("waits for a model that is still loading", async () => {
    const { promise, resolve } = Promise.withResolvers<ReturnType<typeof double>>();
    const pending = appWith(promise).request(IMAGES, json({ prompt: "a dog" }));
    resolve(double());
    expect((await pending).status).toBe(200);
  });

  it("stops drawing when the client's signal aborts", async () => {
    const inference = double({ stepMilliseconds: 5 });
    const controller = new AbortController();
    const pending = appWith(inference).request(IMAGES, {
      ...json({ prompt: "a dog", n: 4, steps: 40 }),
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 30);
    expect((await pending).status).toBe(499);
    expect(inference.seen).toMatchObject({ aborted: 1, finished: 0 });
    expect(inference.seen.requests).toHaveLength(1);
  });
});
