import Replicate, { parseProgressFromLogs, validateWebhook } from "replicate";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Receiver, verify } from "../../core/runs/webhooks/receiver.ts";
import { undisturbed } from "../../core/runs/table_engine.ts";
import { type RealServer, realServer, until } from "../real_server.ts";

const input = { prompt: "a dog", seed: 3, steps: 6 };
const MODEL = "unmask/scenes";

let server: RealServer;
let replicate: Replicate;

beforeEach(async () => {
  server = await realServer();
  replicate = new Replicate({ auth: "r8_a", baseUrl: `${server.url}/replicate/v1` });
});
afterEach(() => server.stop());

const picture = async (value: unknown) => {
  expect(value).toBeInstanceOf(ReadableStream);
  return new Uint8Array(await new Response(value as ReadableStream).arrayBuffer());
};

test("run waits, and gives the picture as a file", async () => {
  expect(await picture(await replicate.run(MODEL, { input }))).toEqual(await undisturbed(input));
  const versioned = await replicate.run(`${MODEL}:scenes`, { input, wait: { mode: "poll", interval: 50 } });
  expect(await picture(versioned)).toEqual(await undisturbed(input));
});

test("create returns at once, get and wait follow, progress can be read", async () => {
  const prediction = await replicate.predictions.create({ model: MODEL, input });
  expect(prediction).toMatchObject({ model: MODEL, version: "scenes", input: { task: "draw", ...input } });
  expect(["starting", "processing"]).toContain(prediction.status);
  expect(prediction.output).toBeNull();
  const done = await replicate.wait(prediction, { interval: 30 });
  expect(done).toMatchObject({ id: prediction.id, status: "succeeded", error: null });
  expect(done.output).toMatch(/^data:image\/png;base64,/);
  expect(done.metrics?.predict_time).toBeGreaterThan(0);
  expect(parseProgressFromLogs(done)).toEqual({ percentage: 1, current: 6, total: 6 });
  const list = await replicate.predictions.list();
  expect(list.results.map(({ id }) => id)).toEqual([prediction.id]);
});

test("create with wait answers with the result", async () => {
  const done = await replicate.predictions.create({ version: "scenes", input, wait: 60 });
  expect(done.status).toBe("succeeded");
});

test("stream tells of each step, and ends with the picture's link", async () => {
  const seen: string[] = [];
  let output = "";
  for await (const { event, data } of replicate.stream(MODEL, { input, useFileOutput: false })) {
    seen.push(event);
    if (event === "output") output = data;
  }
  expect(seen).toEqual([...Array(6).fill("logs"), "output", "done"]);
  const response = await fetch(output);
  expect(response.headers.get("content-type")).toBe("image/png");
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(await undisturbed(input));
});

test("a file from a stream is a file for clients that ask for files", async () => {
  for await (const { event, data } of replicate.stream(MODEL, { input })) {
    if (event === "output") expect(await picture(data)).toEqual(await undisturbed(input));
  }
});

test("cancel ends it", async () => {
  await server.stop();
  server = await realServer({ working: false });
  replicate = new Replicate({ auth: "r8_a", baseUrl: `${server.url}/replicate/v1` });
  const prediction = await replicate.predictions.create({ model: MODEL, input });
  expect((await replicate.predictions.cancel(prediction.id)).status).toBe("canceled");
  expect((await replicate.predictions.get(prediction.id)).status).toBe("canceled");
});

test("webhooks bring the prediction, signed with the key's own secret", async () => {
  const receiver = new Receiver().up();
  try {
    const prediction = await replicate.predictions.create({
      model: MODEL,
      input,
      webhook: receiver.url,
      webhook_events_filter: ["start", "completed"],
    });
    await until("two webhooks", () => receiver.received.length === 2 ? true : undefined);
    const { key } = await replicate.webhooks.default.secret.get();
    const bodies = [];
    for (const received of receiver.received) {
      const { id, timestamp, signature, body } = received;
      expect(await validateWebhook({ id, timestamp, signature, body, secret: key })).toBe(true);
      expect(verify(received, key)).toEqual(JSON.parse(body));
      bodies.push(JSON.parse(body));
    }
    expect(bodies.map(({ id, status }) => [id, status])).toEqual([
      [prediction.id, "processing"],
      [prediction.id, "succeeded"],
    ]);
    expect(bodies[0].output).toBeNull();
    const file = await fetch(bodies[1].output);
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(await undisturbed(input));
    const other = new Replicate({ auth: "r8_b", baseUrl: `${server.url}/replicate/v1` });
    const otherKey = (await other.webhooks.default.secret.get()).key;
    expect(() => verify(receiver.received[0]!, otherKey)).toThrow();
  } finally {
    await receiver.down();
  }
});

test("what it cannot do is refused in words; another key's prediction is not there", async () => {
  const prediction = await replicate.predictions.create({ model: MODEL, input });
  const other = new Replicate({ auth: "r8_b", baseUrl: `${server.url}/replicate/v1` });
  await expect(other.predictions.get(prediction.id)).rejects.toThrow(/404.*run_not_found/s);
  await expect(replicate.run("someone/else", { input })).rejects.toThrow(/model_not_found/);
  await expect(replicate.run(MODEL, { input: { ...input, steps: 0 } })).rejects.toThrow(/steps_out_of_range/);
  await expect(replicate.run(MODEL, { input: { ...input, colour: 1 } })).rejects.toThrow(/unknown_parameter/);
  const late = await fetch(`${server.url}/replicate/v1/predictions`, {
    method: "POST",
    headers: { "content-type": "application/json", "cancel-after": "soon" },
    body: JSON.stringify({ input }),
  });
  expect((await late.json()).error.code).toBe("cancel_after_invalid");
});

test("Cancel-After is the run's deadline", async () => {
  await server.stop();
  server = await realServer({ working: false });
  const response = await fetch(`${server.url}/replicate/v1/predictions`, {
    method: "POST",
    headers: { "content-type": "application/json", "cancel-after": "1m30s" },
    body: JSON.stringify({ input }),
  });
  const record = await server.runs.get("anyone", (await response.json()).id);
  expect(record.deadline).toBe(record.created_at + 90_000);
});
