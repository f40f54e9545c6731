/** Doors of conversations and edits over tables of numbers: what is refused, what is said instead, what is kept. */
import { afterEach, describe, expect, test } from "vitest";
import { encodePicture } from "../../core/image/codec.ts";
import { createApp } from "../../functions/app.ts";
import { picture } from "../core/tasks/seeing_model.ts";
import { pngFile } from "../core/image/samples.ts";
import { appWith, double, json } from "./double.ts";
import type { TestHouse } from "./house_of.ts";
import { seeingHouse, type SeeingOptions } from "./seeing_house.ts";

const CHAT = "/v1/chat/completions";
const PNG = await encodePicture(picture(40, 30), "png");
const DATA_URL = `data:image/png;base64,${PNG.toBase64()}`;
const say = (text: string) => [{ role: "user", content: text }];
const show = (text: string) => [
  { role: "user", content: [{ type: "text", text }, { type: "image_url", image_url: { url: DATA_URL } }] },
];

const houses: TestHouse[] = [];
afterEach(async () => {
  for (const house of houses.splice(0)) await house.close();
});

async function appOf(options: SeeingOptions = {}) {
  const house = await seeingHouse(options);
  houses.push(house);
  const { runs, engine, encode } = house.door;
  const decode = () => Promise.reject(new Error("no masks"));
  const app = createApp({
    inference: Promise.resolve(double()),
    runs: Promise.resolve({ runs, engine, encode, decode, imageSize: 128 }),
    protocols: Promise.resolve(house.door),
  });
  return { app, house };
}

const code = async (response: Response) => [response.status, (await response.json()).error.code];

/** The data of a stream's events, its end left out. */
const chunksOf = async (response: Response) =>
  [...(await response.text()).matchAll(/^data: (\{.*\})$/gm)].map(([, data = ""]) => JSON.parse(data));

describe("a model that was trained to draw alone", () => {
  test("refuses to answer, point and edit, by name, at every door", async () => {
    const { app, house } = await appOf({ able: ["draw"] });
    expect(await code(await app.request(CHAT, json({ messages: say("what") })))).toEqual([400, "task_not_supported"]);
    expect(await code(await app.request(CHAT, json({ messages: say("what"), stream: true })))).toEqual([
      400,
      "task_not_supported",
    ]);
    const ground = { messages: show("the dog"), unmask: { task: "ground" } };
    expect(await code(await app.request(CHAT, json(ground)))).toEqual([400, "task_not_supported"]);
    const edit = { messages: show("make it blue"), modalities: ["image"] };
    expect(await code(await app.request(CHAT, json(edit)))).toEqual([400, "task_not_supported"]);
    const form = new FormData();
    form.append("image", new File([new Uint8Array(PNG)], "in.png"));
    form.append("prompt", "make it blue");
    const headers = { "x-unmask": "1" };
    const edited = await app.request("/v1/images/edits", { method: "POST", body: form, headers });
    expect(await code(edited)).toEqual([400, "task_not_supported"]);
    const native = { task: "answer", input: { question: "what" } };
    expect(await code(await app.request("/v1/runs", json(native)))).toEqual([400, "task_not_supported"]);
    expect((await house.runs.list("anyone")).records).toEqual([]);
    const drawn = await app.request(
      CHAT,
      json({ messages: say("a dog"), modalities: ["image"], unmask: { steps: 2 } }),
    );
    expect(drawn.status).toBe(200);
  });
});

describe("words that the model lacks", () => {
  const body = { messages: say("a photo of a unicorn"), modalities: ["image", "text"] };

  test("get a message that says what it knows, not an error", async () => {
    const answer = await (await appWith().request(CHAT, json(body))).json();
    const [{ message, finish_reason }] = answer.choices;
    expect([message.role, message.images, finish_reason]).toEqual(["assistant", undefined, "stop"]);
    expect(message.content).toMatch(/does not know "unicorn"\..*dog/);
    expect(answer.usage.total_tokens).toBe(0);
  });

  test("in a stream too", async () => {
    const response = await appWith().request(CHAT, json({ ...body, stream: true }));
    const text = await response.clone().text();
    expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true);
    const chunks = await chunksOf(response);
    expect(chunks.map(({ choices }) => choices[0].delta.content ?? "").join("")).toContain('does not know "unicorn"');
    expect(chunks[0].choices[0].delta.role).toBe("assistant");
    expect(chunks.at(-1).choices[0].finish_reason).toBe("stop");
  });
});

describe("an answer", () => {
  const body = { messages: show("what is it"), max_tokens: 40, seed: 3 };
  /** Words at every place, and no end among them. */
  const says = Object.fromEntries(Array.from({ length: 32 }, (_, place) => [place, 10 + place]));

  test("is a run with its picture beside it, and the same answer again from it", async () => {
    const { app, house } = await appOf({ says });
    const first = await (await app.request(CHAT, json(body))).json();
    const [record] = (await house.runs.list("anyone")).records;
    expect(first.id).toBe(`chatcmpl-${record?.id}`);
    expect(record).toMatchObject({
      task: "answer",
      state: "succeeded",
      // 40 tokens are two blocks of 16 and a rest that is left out.
      input: {
        length: 32,
        block: 16,
        pictures: [{ media_type: "image/png", width: 40, height: 30, bytes: PNG.length }],
      },
      output: { media_type: "text/plain; charset=utf-8", text_tokens: 32, truncated: true },
    });
    expect(first.choices[0].finish_reason).toBe("length");
    expect(first.usage).toMatchObject({ completion_tokens: 32, completion_tokens_details: { image_tokens: 0 } });
    expect(first.usage.prompt_tokens_details.image_tokens).toBeGreaterThan(0);
    // Snapshots hold no pixels.
    const state = await house.runs.state("anyone", record?.id ?? "");
    expect(state?.length).toBeLessThan(2000);
    const again = await (await app.request(
      "/v1/runs",
      json({
        task: "answer",
        input: { question: "what is it", picture: PNG.toBase64(), length: 32, block: 16, seed: 3 },
      }),
    )).json();
    const result = await app.request(`/v1/runs/${again.id}/result`);
    expect(await result.text()).toBe(first.choices[0].message.content);
  });

  test("streams blocks as they settle, and the whole is the answer", async () => {
    const { app, house } = await appOf({ says });
    const whole = await (await app.request(CHAT, json(body))).json();
    const stream = await app.request(CHAT, json({ ...body, stream: true, stream_options: { include_usage: true } }));
    const chunks = await chunksOf(stream);
    const parts = chunks.flatMap(({ choices }) => choices[0]?.delta.content || []);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.join("")).toBe(whole.choices[0].message.content);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks[0].usage).toBeNull();
    // Told with the block that it belongs to, before the run's end.
    const [record] = (await house.runs.list("anyone")).records;
    const events = await (await app.request(`/v1/runs/${record?.id}/events`)).text();
    const types = [...events.matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
    expect(types.filter((type) => type === "run.text").length).toBe(parts.length);
    expect(types.indexOf("run.text")).toBeLessThan(types.lastIndexOf("run.step"));
  });

  test("ends early at an end token, and says that it stopped", async () => {
    const { app } = await appOf({ says });
    // Place 3 is the end of the text.
    const { app: ending } = await appOf({ says: { ...says, 3: 2 } });
    const [long, short] = [
      await (await app.request(CHAT, json(body))).json(),
      await (await ending.request(CHAT, json(body))).json(),
    ];
    expect(short.usage.completion_tokens).toBeLessThan(long.usage.completion_tokens);
    expect(short.choices[0].finish_reason).toBe("stop");
  });

  test("sees every picture of a conversation as a whole once there are two, and a client's system message", async () => {
    const { app, house } = await appOf();
    const messages = [
      { role: "system", content: "Be terse." },
      ...show("what is it"),
      { role: "assistant", content: "a dog", images: [{ type: "image_url", image_url: { url: DATA_URL } }] },
      ...say("and now"),
    ];
    const answer = await (await app.request(CHAT, json({ messages, max_tokens: 8 }))).json();
    const [record] = (await house.runs.list("anyone")).records;
    expect(record?.input).toMatchObject({
      system: "Be terse.",
      question: "and now",
      history: [
        { role: "user", pictures: [{ media_type: "image/png" }] },
        { role: "assistant", pictures: [{ media_type: "image/png" }] },
      ],
    });
    expect(answer.usage.prompt_tokens_details.image_tokens).toBe(4);
  });
});

describe("an edit under a mask", () => {
  test("keeps the source's tokens outside, and draws inside", async () => {
    const { app, house } = await appOf();
    const square = await encodePicture(picture(64, 64), "png");
    const row = [0, ...Array.from({ length: 64 }, (_, x) => [0, 0, 0, x < 32 ? 0 : 255]).flat()];
    const rows = Array.from({ length: 64 }, () => row).flat();
    const mask = pngFile({ width: 64, height: 64, depth: 8, colour: 6, rows });
    const send = async (masked: boolean) => {
      const form = new FormData();
      form.append("image", new File([new Uint8Array(square)], "in.png"));
      if (masked) form.append("mask", new File([new Uint8Array(mask)], "mask.png"));
      for (const [name, value] of Object.entries({ prompt: "make it blue", seed: "5", steps: "4" })) {
        form.append(name, value);
      }
      const init = { method: "POST", body: form, headers: { "x-unmask": "1" } };
      const answer = await (await app.request("/v1/images/edits", init)).json();
      // This model's picture is its ids.
      return Uint8Array.fromBase64(answer.data[0].b64_json);
    };
    const [whole, masked] = [await send(false), await send(true)];
    const source = Uint8Array.from(await encodedSource(house));
    const side = Math.sqrt(masked.length);
    const left = (position: number) => position % side < side / 2;
    const differs = (a: Uint8Array, b: Uint8Array) => [...a.keys()].filter((position) => a[position] !== b[position]);
    expect(differs(masked, source).every(left)).toBe(true);
    expect(differs(masked, source).length).toBeGreaterThan(5);
    expect(differs(whole, source).some((position) => !left(position))).toBe(true);
  });

  /** VQ ids of the source, as the newest edit's state keeps them. */
  async function encodedSource({ runs }: TestHouse): Promise<Uint16Array> {
    const { editKind } = await import("../../core/runs/state/edit_kind.ts");
    const [record] = (await runs.list("anyone")).records;
    const bytes = await runs.state("anyone", record?.id ?? "");
    if (bytes === null) throw new Error("the edit has no state");
    return editKind.decode(bytes).source ?? new Uint16Array();
  }
});
