import { afterEach, beforeEach, expect, test } from "vitest";
import { undisturbed } from "../../core/runs/table_engine.ts";
import { Receiver } from "../../core/runs/webhooks/receiver.ts";
import { createApp } from "../../../functions/app.ts";
import { double } from "../double.ts";
import { type RealServer, realServer, until } from "../real_server.ts";

const input = { prompt: "a dog", seed: 3, steps: 6 };
let server: RealServer;

beforeEach(async () => {
  server = await realServer();
});
afterEach(() => server.stop());

function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  return fetch(`${server.url}${path}`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}
const asynchronously = { prefer: "respond-async" };
const code = async (response: Response) => [response.status, (await response.json()).error.code];

async function idle(): Promise<void> {
  await server.stop();
  server = await realServer({ working: false });
}

test("a prediction waits and brings its picture as a data URL", async () => {
  const response = await send("POST", "/predictions", { input });
  expect(response.status).toBe(200);
  const prediction = await response.json();
  expect(prediction).toMatchObject({ status: "succeeded", error: null, input: { task: "draw", ...input } });
  expect(prediction.metrics.predict_time).toBeGreaterThan(0);
  const [head, data] = prediction.output.split(",");
  expect(head).toBe("data:image/png;base64");
  expect(Uint8Array.fromBase64(data)).toEqual(await undisturbed(input));
});

test("PUT names the run: a second one attaches, another body is refused", async () => {
  await idle();
  const first = await send("PUT", "/predictions/wjx3whax6rf4", { input }, asynchronously);
  expect([first.status, (await first.json()).id]).toEqual([202, "wjx3whax6rf4"]);
  const again = await send("PUT", "/predictions/wjx3whax6rf4", { input }, asynchronously);
  expect([again.status, (await again.json()).status]).toEqual([202, "starting"]);
  expect((await server.runs.list("anyone")).records.length).toBe(1);
  const other = await send("PUT", "/predictions/wjx3whax6rf4", { input: { ...input, seed: 4 } }, asynchronously);
  expect(await code(other)).toEqual([422, "idempotency_key_reused"]);
  server.worker.start();
  const end = await send("PUT", "/predictions/wjx3whax6rf4", { input });
  expect(await end.json()).toMatchObject({ id: "wjx3whax6rf4", status: "succeeded" });
  expect((await server.runs.list("anyone")).records.length).toBe(1);
});

test("a client's id can be cancelled, and so can ours; unknown ones are 404", async () => {
  await idle();
  await (await send("POST", "/predictions", { id: "abcd1234", input }, asynchronously)).body?.cancel();
  expect((await send("POST", "/predictions/abcd1234/cancel")).status).toBe(200);
  const again = await send("PUT", "/predictions/abcd1234", { id: "abcd1234", input });
  expect((await again.json()).status).toBe("canceled");
  const own = await (await send("POST", "/predictions", { input }, asynchronously)).json();
  expect((await send("POST", `/predictions/${own.id}/cancel`)).status).toBe(200);
  expect(await code(await send("POST", "/predictions/nobody/cancel"))).toEqual([404, "run_not_found"]);
  const other = { authorization: "Bearer other" };
  expect(await code(await send("POST", "/predictions/abcd1234/cancel", undefined, other)))
    .toEqual([404, "run_not_found"]);
});

test("a stream tells of the start, each step, the output and the end; PUT attaches to it", async () => {
  const stream = { accept: "text/event-stream" };
  const response = await send("PUT", "/predictions/streamed", { input }, stream);
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const events = (text: string) =>
    [...text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name, data]) => [name, JSON.parse(data ?? "")] as const);
  const seen = events(await response.text());
  expect(seen.map(([name]) => name)).toEqual(["start", ...Array(6).fill("log"), "output", "completed"]);
  expect(seen[0]?.[1]).toEqual({ id: "streamed", status: "processing" });
  expect(seen[1]?.[1]).toEqual({ source: "stderr", data: "16%|█         | 1/6\n" });
  const completed = seen.at(-1)?.[1];
  expect(completed).toMatchObject({ id: "streamed", status: "succeeded" });
  expect(seen.at(-2)?.[1]).toEqual({ chunk: completed.output, index: 0 });
  expect(events(await (await send("PUT", "/predictions/streamed", { input }, stream)).text())).toEqual(seen);
});

test("webhooks bring the prediction under the client's id, and are thinned", async () => {
  const receiver = new Receiver().up();
  try {
    const steps = 40;
    await (await send("POST", "/predictions", {
      id: "hooked",
      input: { ...input, steps },
      webhook: receiver.url,
    }, asynchronously)).body?.cancel();
    const bodies = () => receiver.received.map(({ body }) => JSON.parse(body));
    await until("the last webhook", () => bodies().find(({ status }) => status === "succeeded"));
    expect(new Set(bodies().map(({ id }) => id))).toEqual(new Set(["hooked"]));
    // One start, ten of the steps, one end.
    await until("all webhooks", () => receiver.received.length >= 12 ? true : undefined);
    expect(receiver.received.length).toBe(12);
  } finally {
    await receiver.down();
  }
});

test("what cannot be asked for is refused", async () => {
  for (
    const [body, expected] of [
      [{ input, output_file_prefix: "https://a.example" }, "unknown_parameter"],
      [{ input, webhook: "file:///etc/passwd" }, "invalid_parameter"],
      [{ input, webhook: "https://a.example/", webhook_events_filter: ["end"] }, "invalid_parameter"],
      [{ input: [] }, "invalid_parameter"],
      [[], "invalid_parameter"],
      [{ input: { ...input, task: 1 } }, "invalid_type"],
      [{ input: { ...input, steps: 0 } }, "steps_out_of_range"],
    ] as const
  ) expect(await code(await send("POST", "/predictions", body)), expected).toEqual([400, expected]);
  expect(await code(await send("PUT", "/predictions/a.b", { input }))).toEqual([400, "prediction_id_invalid"]);
  expect(await code(await send("PUT", "/predictions/a", { id: "b", input }))).toEqual([400, "prediction_id_invalid"]);
  expect(await code(await send("GET", "/predictions"))).toEqual([405, "method_not_allowed"]);
});

test("the root says where the parts are, but to a browser", async () => {
  const parts = await (await send("GET", "/")).json();
  expect(parts).toMatchObject({ predictions_url: "/predictions", healthcheck_url: "/health-check" });
  for (const path of [parts.docs_url, parts.openapi_url, parts.healthcheck_url]) {
    const response = await send("GET", path);
    expect(response.status, path).toBe(200);
    await response.body?.cancel();
  }
  const id = "abc";
  const made = await send("PUT", parts.predictions_idempotent_url.replace("{prediction_id}", id), { input });
  expect(await made.json()).toMatchObject({ id, status: "succeeded" });
  const cancel = parts.predictions_cancel_url.replace("{prediction_id}", id);
  expect((await send("POST", cancel)).status).toBe(200);
  const page = await send("GET", "/", undefined, { accept: "text/html,*/*;q=0.8" });
  expect(page.headers.get("content-type")).toContain("text/html");
  expect(page.headers.get("vary")).toBe("accept");
  await page.body?.cancel();
});

test("health-check has Cog's states", async () => {
  const health = async (response: Response | Promise<Response>) => (await (await response).json()).status;
  expect(await health(send("GET", "/health-check"))).toBe("READY");
  await server.stop();
  server = await realServer({ slots: 1, stepMilliseconds: 200 });
  await (await send("POST", "/predictions", { input }, asynchronously)).body?.cancel();
  await until("a busy worker", () => server.worker.active === 1 ? true : undefined);
  expect(await health(send("GET", "/health-check"))).toBe("BUSY");

  const loading = Promise.withResolvers<ReturnType<typeof double>>();
  const protocols = Promise.reject(new Error("not yet"));
  protocols.catch(() => {});
  const app = createApp({ inference: loading.promise, protocols });
  const ask = () => app.request("http://localhost/health-check");
  expect(await health(ask())).toBe("STARTING");
  loading.resolve({ ...double(), death: new Error("it is gone") as never });
  await loading.promise;
  expect(await health(ask())).toBe("DEFUNCT");
  const failed = Promise.reject(new Error("no model"));
  failed.catch(() => {});
  const broken = createApp({ inference: failed, protocols });
  await new Promise((resolve) => setTimeout(resolve, 0));
  const report = await (await broken.request("http://localhost/health-check")).json();
  expect(report).toMatchObject({ status: "SETUP_FAILED", setup: { status: "failed" } });
});
