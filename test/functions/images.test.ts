import { describe, expect, it } from "vitest";
import type { ImagesAnswer } from "../../functions/routes/openai/picture_answer.ts";
import { createApp } from "../../functions/app.ts";
import { MOST_STREAMS } from "../../functions/routes/stream_room.ts";
import { appWith, double, doubleOptions, IMAGES, json } from "./double.ts";

const text = (base64: string | undefined) => new TextDecoder().decode(Uint8Array.fromBase64(base64 ?? ""));

async function answerTo(body: unknown, app = appWith()): Promise<ImagesAnswer> {
  const response = await app.request(IMAGES, json(body));
  expect(response.status, await response.clone().text()).toBe(200);
  return await response.json();
}

describe("POST /v1/images/generations", () => {
  it("answers in OpenAI's shape, with the real token counts and what was drawn", async () => {
    const before = Math.floor(Date.now() / 1000);
    const app = appWith();
    const answer = await answerTo({ prompt: "a photo of a dog", seed: 7 }, app);
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
        output_tokens_details: { text_tokens: 0, image_tokens: 256 },
      },
      unmask: { model: "scenes", provider: "cpu", seed: 7, steps: 32, guidance: 0.5, order: "stratified" },
    });
    expect(answer.unmask.seconds).toBeGreaterThanOrEqual(0);
    // A view of a run, which is there as any other.
    const run = await (await app.request(`/v1/runs/${answer.data[0]?.run}`)).json();
    expect(run).toMatchObject({ task: "draw", status: "succeeded", input: { prompt: "a photo of a dog", seed: 7 } });
  });

  it("hands our options to the draw and leaves absent ones to the core", async () => {
    const inference = double();
    const app = appWith(inference);
    await answerTo({ prompt: "a dog", seed: 3, steps: 8, guidance: 1.5, order: "halton" }, app);
    await answerTo({ prompt: "a dog", seed: 3, steps: null }, app);
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
    const app = appWith();
    const seeds = await Promise.all(
      [1, 2, 3].map(async () => (await answerTo({ prompt: "a dog" }, app)).data[0]?.seed),
    );
    expect(new Set(seeds).size).toBe(3);
  });

  it("accepts every field of OpenAI's at its default, and null as absent", async () => {
    const app = appWith();
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
    }, app);
    for (const size of ["256x256", null]) {
      await answerTo({ prompt: "a dog", size, background: "opaque", model: null }, app);
    }
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

  it("gives a link that needs no key, shows the file and nothing else, and ends", async () => {
    const app = appWith();
    const answer = await answerTo({ prompt: "a dog", seed: 9, response_format: "url", output_format: "webp" }, app);
    const [{ url, b64_json } = {}] = answer.data;
    expect([typeof url, b64_json]).toEqual(["string", undefined]);
    const file = await app.request(url ?? "");
    expect([file.status, file.headers.get("content-type"), await file.text()]).toEqual([
      200,
      "image/webp",
      "webp 100 9",
    ]);
    const [payload = ""] = (url?.split("/").at(-1) ?? "").split(".");
    const said = JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(payload, { alphabet: "base64url" })));
    // For an hour.
    expect(Math.abs(said.at(-1) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    const forged = url?.replace(/.$/, (last) => (last === "A" ? "B" : "A")) ?? "";
    expect((await app.request(forged)).status).toBe(404);
    expect((await app.request(`${url}/stream`)).status).toBe(404);
  });

  it("attaches a retry with the same idempotency key to the same run, without a seed too", async () => {
    const inference = double();
    const app = appWith(inference);
    const init = json({ prompt: "a dog", n: 2 });
    const send = () => app.request(IMAGES, { ...init, headers: { ...init.headers, "idempotency-key": "one" } });
    const [first, second] = [await (await send()).json(), await (await send()).json()];
    expect(second.data).toEqual(first.data);
    expect(inference.seen.requests).toHaveLength(2);
    const other = { ...json({ prompt: "a cat" }), headers: { ...init.headers, "idempotency-key": "one" } };
    expect((await app.request(IMAGES, other)).status).toBe(422);
  });

  it("waits for a model that is still loading", async () => {
    const { promise, resolve } = Promise.withResolvers<ReturnType<typeof double>>();
    const pending = appWith(promise).request(IMAGES, json({ prompt: "a dog" }));
    resolve(double());
    expect((await pending).status).toBe(200);
  });

  it.each([["cancels its runs", {}, "cancelled"], ["keeps them if asked", { prefer: "keep-running" }, "succeeded"]])(
    "of a caller that leaves %s",
    async (_, headers, expected) => {
      const app = appWith(double({ stepMilliseconds: 5 }));
      const controller = new AbortController();
      const init = json({ prompt: "a dog", n: 2, steps: 20 });
      const pending = app.request(IMAGES, {
        ...init,
        headers: { ...init.headers, ...headers },
        signal: controller.signal,
      });
      setTimeout(() => controller.abort(), 60);
      expect((await pending).status).toBe(499);
      const states = async () => {
        const { data } = await (await app.request("/v1/runs")).json();
        return data.map(({ status }: { status: string }) => status);
      };
      await expect.poll(states, { timeout: 10_000 }).toEqual([expected, expected]);
    },
  );
});

describe("a stream of it", () => {
  interface Event {
    readonly type: string;
    readonly b64_json?: string;
    readonly partial_image_index?: number;
    readonly usage?: unknown;
    readonly error?: { readonly code: string };
  }

  async function eventsOf(response: Response): Promise<Event[]> {
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const blocks = (await response.text()).split("\n\n").filter((block) => block.includes("data: "));
    return blocks.map((block) => {
      const [, name, data = "{}"] = /event: (.*)\ndata: (.*)/.exec(block) ?? [];
      const event: Event = JSON.parse(data);
      if (event.error === undefined) expect(event.type).toBe(name);
      return event;
    });
  }

  it.each([0, 1, 3])("has %i partial images of the run's own steps, then the picture", async (partial_images) => {
    const body = { prompt: "a dog", seed: 40, steps: 8, stream: true, partial_images };
    const events = await eventsOf(await appWith(double({ stepMilliseconds: 3 })).request(IMAGES, json(body)));
    expect(events.map(({ type }) => type)).toEqual([
      ...Array(partial_images).fill("image_generation.partial_image"),
      "image_generation.completed",
    ]);
    expect(events.slice(0, -1).map(({ partial_image_index }) => partial_image_index)).toEqual(
      Array.from({ length: partial_images }, (_, index) => index),
    );
    const last = events.at(-1);
    expect(text(last?.b64_json)).toBe("png - 40");
    expect(last).toMatchObject({
      size: "256x256",
      quality: "auto",
      background: "opaque",
      output_format: "png",
      created_at: expect.any(Number),
      usage: { input_tokens: 11, output_tokens: 256, total_tokens: 267 },
    });
    for (const { b64_json } of events.slice(0, -1)) expect(text(b64_json)).toMatch(/^png - (40|128)$/);
  });

  it("carries partial images in the format that was asked for", async () => {
    const body = { prompt: "a dog", steps: 4, stream: true, partial_images: 1, output_format: "jpeg" };
    const events = await eventsOf(await appWith().request(IMAGES, json(body)));
    expect(events.map(({ b64_json }) => text(b64_json).slice(0, 8))).toEqual(["jpeg 100", "jpeg 100"]);
  });

  it("is refused before it begins, where it can be", async () => {
    const response = await appWith().request(IMAGES, json({ prompt: "a unicorn", stream: true }));
    expect([response.status, (await response.json()).error.code]).toEqual([400, "unknown_words"]);
  });

  it("ends with an error when the run ends without a picture", async () => {
    const app = appWith(double({ stepMilliseconds: 20 }));
    const pending = app.request(IMAGES, json({ prompt: "a dog", steps: 50, stream: true }));
    const response = await pending;
    const { data } = await (await app.request("/v1/runs")).json();
    await app.request(`/v1/runs/${data[0].id}/cancel`, { method: "POST", headers: { "x-unmask": "1" } });
    expect((await eventsOf(response)).map(({ error }) => error?.code)).toEqual(["run_cancelled"]);
  });

  it("cancels the run of a reader that leaves", async () => {
    const app = appWith(double({ stepMilliseconds: 10 }));
    const controller = new AbortController();
    const init = { ...json({ prompt: "a dog", steps: 100, stream: true }), signal: controller.signal };
    await app.request(IMAGES, init);
    controller.abort();
    const state = async () => (await (await app.request("/v1/runs")).json()).data[0].status;
    await expect.poll(state, { timeout: 10_000 }).toBe("cancelled");
  });
});

describe("GET /v1/models", () => {
  it("lists the one model, and knows no other", async () => {
    const app = appWith();
    const list = await (await app.request("/v1/models")).json();
    const card = { id: "scenes", object: "model", created: expect.any(Number), owned_by: "unmask" };
    expect(list).toMatchObject({ object: "list", data: [card] });
    expect(await (await app.request("/v1/models/scenes")).json()).toEqual(list.data[0]);
    const other = await app.request("/v1/models/gpt-image-1");
    expect([other.status, (await other.json()).error.code]).toEqual([404, "model_not_found"]);
  });
});

it("a stream too many is refused before there is a run", async () => {
  const options = doubleOptions(double({ stepMilliseconds: 200 }));
  const app = createApp(options);
  const { runs } = await options.house;
  const ask = () => app.request(IMAGES, json({ prompt: "a photo of a dog", stream: true }));
  const first = await ask();
  const { records: [record] } = await runs.list("anyone");
  const events = () => app.request(`/v1/runs/${record?.id}/events`);
  const others = await Promise.all(Array.from({ length: MOST_STREAMS - 1 }, events));
  const refused = await ask();
  expect([refused.status, (await refused.json()).error.code]).toEqual([429, "too_many_streams"]);
  expect((await runs.list("anyone")).records.length).toBe(1);
  for (const { body } of [first, ...others]) await body?.cancel();
  expect((await ask()).status).toBe(200);
});
