/** Plans and reflections as runs, through the doors, over tables of numbers that say what a test tells them. */
import { afterEach, describe, expect, test } from "vitest";
import { encodePicture } from "../../core/image/codec.ts";
import { createApp } from "../../functions/app.ts";
import { picture, type Say } from "../core/tasks/seeing_model.ts";
import { double, json } from "./double.ts";
import type { TestHouse } from "./house_of.ts";
import { seeingHouse, type SeeingOptions } from "./seeing_house.ts";

const prompt = "a photo of a dog";
const plan = "Sure I should place the objects in the following manner" +
  " <box_p> dog </box_p><LOC_BEGIN><LOC_4><LOC_8><LOC_20><LOC_24><LOC_END>";
const removing = "Sure I should consider removing the objects in these locations :" +
  " <box_p> dog </box_p><LOC_BEGIN><LOC_16><LOC_16><LOC_48>";
const says: Say = (asked) =>
  asked.includes("Please evaluate")
    ? "The dog is missing."
    : asked.includes("remove the dog")
    ? removing
    : `${plan}<|reserved_token_7|>`;
const PNG = (await encodePicture(picture(40, 30), "png")).toBase64();

const houses: TestHouse[] = [];
afterEach(async () => {
  for (const house of houses.splice(0)) await house.close();
});

async function appOf(options: SeeingOptions = { says }) {
  const house = await seeingHouse(options);
  houses.push(house);
  const { runs, engine, encode } = house.door;
  const decode = () => Promise.reject(new Error("no masks"));
  return createApp({
    inference: Promise.resolve(double()),
    runs: Promise.resolve({ runs, engine, encode, decode, imageSize: 128 }),
    protocols: Promise.resolve(house.door),
  });
}

type App = Awaited<ReturnType<typeof appOf>>;

const post = async (app: App, path: string, body: unknown) => {
  const request = json(body);
  const response = await app.request(path, { ...request, headers: { ...request.headers, prefer: "wait=60" } });
  return { status: response.status, run: await response.json() };
};
const resultOf = async (app: App, id: string) => await (await app.request(`/v1/runs/${id}/result`)).json();

describe("a plan", () => {
  test("comes as boxes that go back into a draw; its text is told as it is done", async () => {
    const app = await appOf();
    const { status, run } = await post(app, "/v1/runs", { task: "plan", input: { prompt, seed: 3 } });
    expect([status, run.status, run.error]).toEqual([200, "succeeded", null]);
    expect(run.output).toMatchObject({ media_type: "application/json", image_tokens: 0, truncated: false });
    const found = await resultOf(app, run.id);
    expect(found).toEqual({
      text: plan,
      boxes: [{ label: "dog", xyxy: [8, 16, 40, 48], loc: [4, 8, 20, 24] }],
      malformed: [],
    });
    const events = await (await app.request(`/v1/runs/${run.id}/events`)).text();
    const told = [...events.matchAll(/^data: (.*"run\.text".*)$/gm)].map(([, data = ""]) => JSON.parse(data).data.text);
    expect(told.length).toBeGreaterThan(1);
    expect(told.join("")).toBe(plan);
    const [box] = found.boxes;
    const changed = [{ label: box.label, xyxy: [16, 16, 48, 48] }];
    const drawn = await post(app, "/v1/runs", { task: "draw", input: { prompt, seed: 3, steps: 3, plan: changed } });
    expect([drawn.status, drawn.run.status]).toEqual([200, "succeeded"]);
    const outside = await post(app, "/v1/runs", {
      task: "draw",
      input: { prompt, seed: 3, plan: [{ label: "dog", xyxy: [16, 16, 129, 48] }] },
    });
    expect([outside.status, outside.run.error]).toMatchObject([400, { code: "plan_outside_canvas", param: "plan" }]);
  });

  test("of an edit has a verb, tells what is malformed, and takes one picture", async () => {
    const app = await appOf();
    const input = { instruction: "remove the dog", picture: PNG };
    const { run } = await post(app, "/v1/runs", { task: "plan", input });
    expect(await resultOf(app, run.id)).toEqual({
      text: removing,
      boxes: [],
      malformed: [expect.stringContaining("<LOC_48>")],
      verb: "removing",
    });
    const refused = async (input: unknown) => {
      const { status, run } = await post(app, "/v1/runs", { task: "plan", input });
      return [status, run.error.code];
    };
    expect(await refused({ instruction: "remove the dog" })).toEqual([400, "picture_missing"]);
    expect(await refused({ instruction: "remove the dog", picture: [PNG, PNG] })).toEqual([400, "picture_invalid"]);
    expect(await refused({ instruction: "remove the dog", picture: "bm8gcGljdHVyZQ==" })).toEqual([
      415,
      "image_format_unsupported",
    ]);
    expect(await refused({ prompt, picture: PNG })).toEqual([400, "option_unused"]);
    expect(await refused({})).toEqual([400, "prompt_missing"]);
  });
});

describe("a reflection", () => {
  test("has its rounds as its result, pictures as files; it forks, and shows the picture of any step", async () => {
    const app = await appOf();
    const input = { prompt, seed: 3, steps: 3, rounds: 2 };
    const { status, run } = await post(app, "/v1/runs", { task: "reflect", input });
    expect([status, run.status, run.error]).toEqual([200, "succeeded", null]);
    expect(run.output).toMatchObject({ media_type: "application/json", width: 64, height: 1, image_tokens: 128 });
    const { accepted, rounds } = await resultOf(app, run.id);
    expect(accepted).toBe(false);
    expect(rounds).toMatchObject([1, 2].map((round) => ({
      round,
      seed: 3,
      plan: { text: plan, malformed: [] },
      feedback: round === 1 ? [] : [1],
      verdict: "The dog is missing.",
      accepted: false,
      reason: "The dog is missing.",
      forwards: { draw: 3 },
    })));
    for (const { ids, picture } of rounds) {
      // The table's picture is its ids, and the file of this double nothing but the pixels.
      expect([...Uint8Array.fromBase64(picture.replace("data:image/png;base64,", ""))]).toEqual(ids);
    }
    const first = rounds[0].forwards.plan + rounds[0].forwards.draw;
    const image = await app.request(`/v1/runs/${run.id}/steps/${first}/image`);
    expect([...new Uint8Array(await image.arrayBuffer())]).toEqual(rounds[0].ids);
    const fork = await post(app, `/v1/runs/${run.id}/fork`, { step: first - 1, input: { rounds: 1 } });
    expect([fork.status, fork.run.status, fork.run.error]).toEqual([200, "succeeded", null]);
    const forked = await resultOf(app, fork.run.id);
    expect(forked.rounds).toHaveLength(1);
    expect(forked.rounds[0].plan).toEqual(rounds[0].plan);
  });

  test("without a judge is a plan and its picture in one run", async () => {
    const app = await appOf();
    const input = { prompt, seed: 3, steps: 3, judge: false };
    const { run } = await post(app, "/v1/runs", { task: "reflect", input });
    const { accepted, rounds } = await resultOf(app, run.id);
    expect(accepted).toBeNull();
    expect(rounds).toMatchObject([{ plan: { text: plan }, verdict: null, ids: expect.any(Array) }]);
  });

  test("and a plan take no time budget, which would be ignored", async () => {
    const app = await appOf();
    for (const task of ["plan", "reflect"]) {
      const { status, run } = await post(app, "/v1/runs", { task, input: { prompt }, budget_ms: 1000 });
      expect([status, run.error], task).toMatchObject([400, { code: "budget_unsupported", param: "budget_ms" }]);
    }
  });

  test("is refused where the model has no words or cannot see, and where its options do nothing", async () => {
    const blind = await appOf({ able: ["draw", "answer", "plan"] });
    const refused = async (app: App, input: unknown) => {
      const { status, run } = await post(app, "/v1/runs", { task: "reflect", input });
      return [status, run.error.code, run.error.param];
    };
    expect(await refused(blind, { prompt })).toEqual([400, "task_not_supported", "task"]);
    const app = await appOf();
    expect(await refused(app, { prompt, rounds: 99 })).toEqual([400, "rounds_invalid", "rounds"]);
    expect(await refused(app, { prompt, judge: false, rounds: 2 })).toEqual([400, "option_unused", "rounds"]);
    expect(await refused(app, { prompt, plan: "a dog" })).toEqual([400, "plan_invalid", "plan"]);
  });
});

test("an expression that is not there has no box, in the run's result and in a conversation", async () => {
  const app = await appOf({ finds: { 0: 0, 1: 0, 2: 0, 3: 0 } });
  const input = { picture: PNG, expressions: ["a dog", "a cup"] };
  const { run } = await post(app, "/v1/runs", { task: "ground", input });
  const { text, boxes } = await resultOf(app, run.id);
  expect(boxes).toMatchObject([{ label: "a dog", found: false }, {
    label: "a cup",
    found: true,
    xyxy: expect.any(Array),
  }]);
  expect(boxes[0]).not.toHaveProperty("xyxy");
  expect(text.split("\n")[0]).toBe("a dog: not there");
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
  const chat = await app.request(
    "/v1/chat/completions",
    json({
      messages: [{ role: "user", content: [{ type: "text", text: "a dog" }, image] }],
      unmask: { task: "ground" },
    }),
  );
  const { choices: [{ message }] } = await chat.json();
  expect(message).toMatchObject({ content: "a dog: not there", annotations: [] });
});
