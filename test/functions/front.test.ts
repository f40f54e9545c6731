/** A server without an engine: previews are small jobs for a worker elsewhere. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RemoteInference } from "../../core/tasks/remote.ts";
import { keys } from "../../core/runs/keys.ts";
import { Links } from "../../core/runs/links.ts";
import { cardOf, writeCard } from "../../core/runs/model_card.ts";
import { pictureAt } from "../../core/runs/preview.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import { workPreviews } from "../../core/runs/preview_jobs.ts";
import { createApp } from "../../functions/app.ts";
import { estimateSchema } from "../../functions/openapi/run_operations.ts";
import { Bench, INPUT, OWNER } from "../core/runs/run_bench.ts";
import { plainFile, tableEngine } from "../core/runs/table_engine.ts";

let bench: Bench;
let app: ReturnType<typeof createApp>;
let stop: AbortController;

beforeEach(async () => {
  bench = await Bench.open();
  stop = new AbortController();
  app = createApp({
    inference: new Promise<RemoteInference>(() => {}),
    runs: Promise.resolve({
      runs: bench.runs,
      engine: null,
      encode: plainFile,
      decode: () => Promise.reject(new Error("no codec here")),
      imageSize: 128,
    }),
  });
});
afterEach(async () => {
  stop.abort();
  await bench.close();
});

test("a preview is asked for once, made by a worker, and there at the next request", async () => {
  const accepted = await app.request("/v1/runs", {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "respond-async" },
    body: JSON.stringify({ task: "draw", input: INPUT }),
  });
  expect(accepted.status, await accepted.clone().text()).toBe(202);
  const { id } = await accepted.json();
  const [entry] = (await bench.store.list<{ owner: string }>({ prefix: ["run"] })).entries;
  const owner = entry?.value.owner ?? "nobody";
  const ask = () => app.request(`/v1/runs/${id}/steps/5/image`);
  expect((await ask()).status).toBe(404); // not drawn yet
  bench.worker();
  for (const end = performance.now() + 100_000; performance.now() < end;) {
    if ((await bench.runs.get(owner, id)).state === "succeeded") break;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const first = await ask();
  expect([first.status, first.headers.get("retry-after")]).toEqual([202, "1"]);
  expect((await ask()).status).toBe(202);
  expect((await bench.store.list({ prefix: ["preview"] })).entries).toHaveLength(1);
  const stranger = { headers: { authorization: "Bearer stranger" } };
  expect((await app.request(`/v1/runs/${id}/steps/5/image`, stranger)).status).toBe(404);

  const engine = tableEngine();
  const working = workPreviews({ runs: bench.runs, engine, encode: plainFile, poll: 20 }, stop.signal);
  await expect.poll(async () => (await ask()).status, { timeout: 20_000 }).toBe(200);
  const bytes = new Uint8Array(await (await ask()).arrayBuffer());
  expect(bytes.filter((value) => value === 128).length).toBeGreaterThan(0);
  expect((await bench.store.list({ prefix: ["preview"] })).entries).toEqual([]);
  stop.abort();
  await working;
});

test("what a run would cost is answered from what workers have written down", async () => {
  const ask = async () => {
    const response = await app.request("/v1/runs/estimate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ task: "draw", input: { prompt: "a photo of a dog", steps: 9 } }),
    });
    expect(response.status, await response.clone().text()).toBe(200);
    return estimateSchema.parse(await response.json());
  };
  expect(await ask()).toMatchObject({ steps: null, tokens: null, seconds: null, reason: expect.any(String) });
  await writeCard(bench.store, await cardOf("models/scenes", "scenes", ["draw"]));
  expect(await ask()).toMatchObject({ steps: 9, tokens: 256, seconds: null, reason: expect.any(String) });
  const value = { fingerprint: "a worker's", step_ms: 100, tail_ms: 50 };
  await bench.store.commit({ sets: [{ key: keys.rate("draw"), value }] });
  expect(await ask()).toEqual({ steps: 9, tokens: 256, seconds: 0.95 });
});

/** Events of a stream with partial images from a front, with or without somebody who makes previews. */
async function streamed(previews: boolean) {
  const links = await Links.of(bench.store);
  const protocols = Promise.resolve({ runs: bench.runs, links, engine: null, encode: noCodec, model: "scenes" });
  const front = createApp({ protocols });
  const engine = tableEngine();
  const working = previews
    ? workPreviews({ runs: bench.runs, engine, encode: plainFile, poll: 20 }, stop.signal)
    : Promise.resolve();
  bench.worker();
  const response = await front.request("/v1/images/generations", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...INPUT, stream: true, partial_images: 2 }),
  });
  expect(response.status, response.ok ? "" : await response.clone().text()).toBe(200);
  const events = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ""));
  stop.abort();
  await working;
  return events;
}

const noCodec = () => Promise.reject(new Error("a front has no pixels"));

test("partial images of a stream come from a worker elsewhere", async () => {
  const events = await streamed(true);
  expect(events.map(({ type, partial_image_index: index }) => [type, index])).toEqual([
    ["image_generation.partial_image", 0],
    ["image_generation.partial_image", 1],
    ["image_generation.completed", undefined],
  ]);
  const [record] = (await bench.runs.list("anyone")).records;
  const parts = { engine: tableEngine(), encode: plainFile };
  const made = await pictureAt(bench.runs, parts, "anyone", record?.id ?? "", 4);
  expect(Uint8Array.fromBase64(events[0].b64_json)).toEqual(made);
  expect(events[1].b64_json).not.toBe(events[0].b64_json);
});

test("where nobody makes them, the stream waits once and goes on to the picture", async () => {
  const start = performance.now();
  expect((await streamed(false)).map(({ type }) => type)).toEqual(["image_generation.completed"]);
  expect(performance.now() - start).toBeGreaterThan(4000);
}, 30_000);

test("a fork takes another plan, and refuses what is none", async () => {
  const id = await bench.create();
  bench.worker();
  await bench.until(id, ({ state }) => state === "succeeded");
  const plan = [{ label: "dog", xyxy: [0, 0, 64, 64] }];
  const { record } = await bench.runs.fork(OWNER, id, { step: 3, input: { plan } });
  await bench.until(record.id, ({ state }) => state === "succeeded");
  const [before, after] = await Promise.all([id, record.id].map(async (run) => {
    return drawKind.decode(await bench.runs.state(OWNER, run) ?? new Uint8Array());
  }));
  expect(after?.settings.plan).toContain("<box_p> dog </box_p>");
  expect(after?.sequence.ids).not.toEqual(before?.sequence.ids);
  await expect(bench.runs.fork(OWNER, id, { step: 3, input: { plan: 5 } })).rejects.toMatchObject({
    code: "plan_invalid",
    param: "plan",
  });
  await expect(bench.runs.fork(OWNER, id, { step: 3, input: { guidance: 99 } })).rejects.toMatchObject({
    code: "guidance_out_of_range",
  });
});
