import { afterEach, beforeEach, expect, test } from "vitest";
import { type Observers, observers } from "../../functions/observe/observers.ts";
import { Receiver } from "../core/runs/webhooks/receiver.ts";
import { type RealServer, realServer, until } from "./real_server.ts";

const input = { prompt: "a dog", seed: 3, steps: 6 };

let server: RealServer;
let watching: Observers;
let lines: Readonly<Record<string, unknown>>[];

beforeEach(async () => {
  watching = observers();
  lines = [];
  server = await realServer({ observers: watching, app: { log: (line) => void lines.push(line) } });
});
afterEach(() => server.stop());

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

/** The numbers of /metrics by name and labels. */
async function numbers(): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${server.url}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain");
  const samples = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(samples.map((line) => {
    const [, name = "", value = ""] = /^(\S+(?: \S+)*) (\S+)$/.exec(line) ?? [];
    return [name, Number(value)];
  }));
}

test("metrics count requests, refusals, runs, phases, steps, tokens, snapshots, deliveries and the queue", async () => {
  const receiver = new Receiver().up();
  try {
    expect((await post("/predictions", { input, webhook: receiver.url, webhook_events_filter: ["completed"] })).status)
      .toBe(200);
    expect((await post("/predictions", { input: { ...input, steps: 0 } })).status).toBe(400);
    expect((await fetch(`${server.url}/nowhere/at/all`)).status).toBe(404);
    const found = await until("delivery", async () => {
      const all = await numbers();
      return all.has('unmask_webhook_attempts_total{outcome="delivered"}') ? all : undefined;
    });
    const value = (name: string) => found.get(name);
    expect(value('unmask_http_request_seconds_count{method="POST",route="/predictions",status="200"}')).toBe(1);
    expect(value('unmask_http_request_seconds_count{method="POST",route="/predictions",status="400"}')).toBe(1);
    expect(value('unmask_http_request_seconds_count{method="GET",route="unknown",status="404"}')).toBe(1);
    expect(value('unmask_rejects_total{code="steps_out_of_range"}')).toBe(1);
    for (const event of ["queued", "started", "succeeded"]) {
      expect(value(`unmask_runs_total{task="draw",event="${event}"}`), event).toBe(1);
    }
    for (const phase of ["queue", "work"]) {
      expect(value(`unmask_run_phase_seconds_count{task="draw",phase="${phase}"}`), phase).toBe(1);
    }
    expect(value('unmask_run_phase_seconds_sum{task="draw",phase="work"}')).toBeGreaterThan(0);
    expect(value('unmask_steps_total{task="draw"}')).toBe(6);
    expect(value('unmask_tokens_total{kind="image"}')).toBe(64);
    expect(value("unmask_snapshot_seconds_count")).toBeGreaterThan(0);
    expect(value('unmask_webhook_attempts_total{outcome="delivered"}')).toBe(1);
    expect(value('unmask_queue_runs{state="waiting"}')).toBe(0);
    expect(value('unmask_queue_runs{state="running"}')).toBe(0);
  } finally {
    await receiver.down();
  }
});

test("tokens of an answer are counted as text", async () => {
  await (await post("/predictions", { input })).body?.cancel();
  const [{ key = [] } = {}] = (await server.store.list({ prefix: ["run"] })).entries;
  const drawn = await server.runs.get(String(key[1]), String(key[2]));
  if (drawn.output === null) throw new Error("a run without a result");
  const answer = { ...drawn, task: "answer", output: { ...drawn.output, image_tokens: 0, text_tokens: 5 } };
  watching.metrics.run(answer, [{ type: "run.succeeded", sequence: 9, time: 0, data: {} }], 1);
  expect((await numbers()).get('unmask_tokens_total{kind="text"}')).toBe(5);
});

test("the queue is counted as it stands", async () => {
  await server.stop();
  server = await realServer({ observers: watching, working: false });
  for (let i = 0; i < 3; i++) await (await post("/predictions", { input }, { prefer: "respond-async" })).body?.cancel();
  expect((await numbers()).get('unmask_queue_runs{state="waiting"}')).toBe(3);
});

test("each request is one line with its id and its run, and no path that could hold a secret", async () => {
  const response = await post("/predictions", { input });
  const { id } = await response.json();
  const token = server.links.sign({ owner: "anyone", run: id, kind: "result" }, Date.now() + 60_000);
  await (await fetch(`${server.url}/v1/files/${token}`)).body?.cancel();
  await (await post("/predictions", {})).body?.cancel();
  const [first, file, refused] = await until("three lines", () => lines.length >= 3 ? lines : undefined);
  expect(first).toEqual({
    time: expect.stringMatching(/^\d{4}-/),
    level: "info",
    event: "request",
    request_id: response.headers.get("x-request-id"),
    method: "POST",
    route: "/predictions",
    status: 200,
    ms: expect.any(Number),
    run: id,
  });
  expect(file).toMatchObject({ route: "/v1/files/:token", status: 200 });
  expect(refused).toMatchObject({ status: 400, code: "invalid_parameter" });
  expect(JSON.stringify(lines)).not.toContain(token);
});

test("spans go out through Deno's own OpenTelemetry: a run, its wait, its work and its steps", async () => {
  const spans: {
    readonly name: string;
    readonly traceId: string;
    readonly spanId: string;
    readonly parentSpanId: string;
  }[] = [];
  const collector = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    if (!request.url.endsWith("/v1/traces")) return new Response("{}");
    const { resourceSpans } = await request.json();
    for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans);
    return new Response("{}");
  });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("./observe_process.ts", import.meta.url).href],
      env: {
        OTEL_DENO: "true",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      },
      stdout: "null",
      stderr: "piped",
    }).output();
    expect(success, new TextDecoder().decode(stderr)).toBe(true);
    const named = (name: string) => spans.filter((span) => span.name === name);
    const [run] = named("unmask.run");
    const [work] = named("unmask.work");
    expect(named("unmask.queue")).toMatchObject([{ traceId: run?.traceId, parentSpanId: run?.spanId }]);
    expect(work).toMatchObject({ traceId: run?.traceId, parentSpanId: run?.spanId });
    expect(named("unmask.steps").length).toBeGreaterThan(0);
    for (const steps of named("unmask.steps")) expect(steps.parentSpanId).toBe(work?.spanId);
  } finally {
    await collector.shutdown();
  }
});
