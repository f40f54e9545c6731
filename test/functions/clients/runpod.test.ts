import runpodSdk from "runpod-sdk";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { undisturbed } from "../../core/runs/table_engine.ts";
import { Receiver, verify } from "../../core/runs/webhooks/receiver.ts";
import { type RealServer, realServer, until } from "../real_server.ts";

const input = { prompt: "a dog", seed: 3, steps: 6 };

let server: RealServer;
const endpoint = (key = "rpa_a") => {
  const found = runpodSdk(key, { baseUrl: `${server.url}/v2` }).endpoint("abc123");
  if (found === null) throw new Error("no endpoint");
  return found;
};

beforeEach(async () => {
  // The client tells of its polling.
  vi.spyOn(console, "log").mockImplementation(() => {});
  server = await realServer();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.stop();
});

/** The client's types leave the output out where a job may not have ended. */
const outputOf = (answer: object) => (answer as { readonly output?: unknown }).output;
const pictureOf = (output: unknown) => {
  expect(output).toMatch(/^data:image\/png;base64,/);
  return Uint8Array.fromBase64(String(output).split(",")[1] ?? "");
};

test("run, status, status-sync", async () => {
  const { id, status } = await endpoint().run({ input });
  expect(status).toBe("IN_QUEUE");
  const done = await endpoint().statusSync(id, 20_000);
  expect(done).toMatchObject({ id, status: "COMPLETED", completed: true, succeeded: true });
  expect(pictureOf(outputOf(done))).toEqual(await undisturbed(input));
  const again = await endpoint().status(id);
  expect(again).toMatchObject({
    status: "COMPLETED",
    delayTime: expect.any(Number),
    executionTime: expect.any(Number),
  });
  expect(outputOf(again)).toBe(outputOf(done));
});

test("runsync gives the picture", async () => {
  const done = await endpoint().runSync({ input });
  expect(done).toMatchObject({ status: "COMPLETED", completed: true, succeeded: true });
  expect(pictureOf(done.output)).toEqual(await undisturbed(input));
});

test("stream hands over each step once, and the picture", async () => {
  const { id } = await endpoint().run({ input });
  const chunks: unknown[] = [];
  for await (const chunk of endpoint().stream(id)) chunks.push(chunk.output);
  expect(chunks.slice(0, 6)).toEqual([1, 2, 3, 4, 5, 6].map((step) => ({ step, steps: 6 })));
  expect(pictureOf(chunks[6])).toEqual(await undisturbed(input));
  expect(chunks.length).toBe(7);
});

test("two who ask for a stream at once share its chunks", async () => {
  const { id } = await endpoint().run({ input });
  await endpoint().statusSync(id, 20_000);
  const ask = async (): Promise<readonly unknown[]> => {
    const headers = { authorization: "Bearer rpa_a" };
    return (await (await fetch(`${server.url}/v2/abc123/stream/${id}`, { headers })).json()).stream;
  };
  const both = await Promise.all([ask(), ask()]);
  expect(both.map(({ length }) => length).toSorted()).toEqual([0, 7]);
});

test("cancel, purge-queue and health", async () => {
  await server.stop();
  server = await realServer({ working: false });
  const first = await endpoint().run({ input });
  expect((await endpoint().cancel(first.id)).status).toBe("CANCELLED");
  expect((await endpoint().status(first.id)).status).toBe("CANCELLED");
  for (let i = 0; i < 3; i++) await endpoint().run({ input });
  await endpoint("rpa_b").run({ input });
  expect((await endpoint().health()).jobs).toMatchObject({ inQueue: 3, inProgress: 0, completed: 0 });
  expect(await endpoint().purgeQueue()).toEqual({ removed: 3, status: "completed" });
  expect((await endpoint().health()).jobs.inQueue).toBe(0);
  // Another key's queue is its own.
  expect((await endpoint("rpa_b").health()).jobs.inQueue).toBe(1);
});

test("executionTimeout ends a job as TIMED_OUT, and retry goes on with it under its id", async () => {
  await server.stop();
  server = await realServer({ stepMilliseconds: 300 });
  const policy = { executionTimeout: 1000, ttl: 60_000 };
  const { id } = await endpoint().run({ input, policy });
  let job = await endpoint().statusSync(id, 20_000);
  expect(job.status).toBe("TIMED_OUT");
  for (let tries = 0; job.status === "TIMED_OUT" && tries < 10; tries++) {
    const headers = { authorization: "Bearer rpa_a" };
    const response = await fetch(`${server.url}/v2/abc123/retry/${id}`, { method: "POST", headers });
    expect(await response.json()).toMatchObject({ id, status: "IN_QUEUE" });
    job = await endpoint().statusSync(id, 20_000);
  }
  expect(job.status).toBe("COMPLETED");
  expect(pictureOf(outputOf(job))).toEqual(await undisturbed(input));
});

test("lowPriority lets others go first; a job that is not begun within its ttl is TIMED_OUT", async () => {
  await server.stop();
  server = await realServer({ working: false, slots: 1 });
  const low = await endpoint().run({ input, policy: { lowPriority: true } });
  const usual = await endpoint().run({ input });
  const late = await endpoint().run({ input, policy: { ttl: 1000 } });
  await new Promise((resolve) => setTimeout(resolve, 1050));
  server.worker.start();
  const statuses = [low, usual, late].map(async ({ id }) => (await endpoint().statusSync(id, 20_000)).status);
  expect(await Promise.all(statuses)).toEqual(["COMPLETED", "COMPLETED", "TIMED_OUT"]);
  const [owner = ""] = await ownersOf(server);
  const started = async ({ id }: { readonly id: string }) => (await server.runs.get(owner, id)).started_at ?? 0;
  expect(await started(usual)).toBeLessThan(await started(low));
});

test("a webhook brings what status does", async () => {
  const receiver = new Receiver().up();
  try {
    const { id } = await endpoint().run({ input, webhook: receiver.url });
    const received = await until("webhook", () => receiver.received[0]);
    const body = JSON.parse(received.body);
    expect(body).toMatchObject({ id, status: "COMPLETED", executionTime: expect.any(Number) });
    const file = await fetch(body.output);
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(await undisturbed(input));
    const [owner] = [...new Set(await ownersOf(server))];
    expect(verify(received, server.links.webhookSecret(owner ?? ""))).toEqual(body);
  } finally {
    await receiver.down();
  }
});

async function ownersOf({ store }: RealServer): Promise<string[]> {
  const { entries } = await store.list({ prefix: ["run"] });
  return entries.map(({ key }) => String(key[1]));
}

test("refusals, and another key's job", async () => {
  const post = async (path: string, body: unknown, key = "rpa_a") => {
    const response = await fetch(`${server.url}/v2/abc123/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    return [response.status, answer.error?.code ?? answer.status];
  };
  expect(await post("run", { input, s3Config: {} })).toEqual([400, "unknown_parameter"]);
  expect(await post("run", { input, policy: { executionTimeout: 5 } })).toEqual([400, "invalid_parameter"]);
  expect(await post("run", {})).toEqual([400, "invalid_parameter"]);
  expect(await post("runsync?wait=5", { input })).toEqual([400, "wait_out_of_range"]);
  expect(await post("run", { input: { ...input, task: "sing" } })).toEqual([400, "task_unknown"]);
  expect(await post("run", { input, policy: { ttl: 60_000, lowPriority: true } })).toEqual([200, "IN_QUEUE"]);
  const { id } = await endpoint().run({ input });
  expect(await post(`cancel/${id}`, {}, "rpa_b")).toEqual([404, "run_not_found"]);
  expect(await post(`retry/${id}`, {}, "rpa_b")).toEqual([404, "run_not_found"]);
  await endpoint().statusSync(id, 20_000);
  expect(await post(`retry/${id}`, {})).toEqual([409, "run_not_failed"]);
});
