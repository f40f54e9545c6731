import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Ledger } from "../../core/runs/ledger.ts";
import { Runs } from "../../core/runs/service.ts";
import { drawKind } from "../../core/runs/state/draw_kind.ts";
import { openMemory } from "../../core/runs/store/open.ts";
import type { Store } from "../../core/runs/store/types.ts";
import { Worker } from "../../core/runs/worker.ts";
import { createApp } from "../../functions/app.ts";
import { MOST_STREAMS } from "../../functions/routes/stream_room.ts";
import { plainFile, type TableEngine, tableEngine, undisturbed } from "../core/runs/table_engine.ts";
import { double } from "./double.ts";

const input = { prompt: "a dog", seed: 3, steps: 6 };
const body = { task: "draw", input };

let store: Store;
let worker: Worker;
let closing: AbortController;
let engine: TableEngine;
let app: ReturnType<typeof createApp>;

beforeEach(async () => {
  store = await openMemory();
  closing = new AbortController();
  engine = tableEngine({ stepMilliseconds: 20 });
  const ledger = new Ledger(store);
  worker = new Worker({ ledger, engine, kinds: [drawKind], encode: plainFile, poll: 30, spacing: 50 });
  const runs = new Runs({
    ledger,
    kinds: [drawKind],
    check: async (task, asked) => void await engine.start(task, asked),
    onQueued: () => worker.wake(),
    onControl: (id, control) => worker.obey(id, control),
  });
  const decode = () =>
    Promise.resolve({ width: 128, height: 128, data: new Uint8Array(128 * 128 * 3).fill(255, 0, 9) });
  app = createApp({
    inference: Promise.resolve(double()),
    runs: Promise.resolve({
      runs,
      engine,
      encode: plainFile,
      decode,
      imageSize: 128,
      closing: closing.signal,
      heartbeat: 30,
    }),
  });
});

afterEach(async () => {
  await worker.stop();
  await store.close();
});

interface View {
  readonly id: string;
  readonly status: string;
  readonly step: number;
  readonly steps: number;
  readonly last_event: number;
  readonly parent: { readonly run: string } | null;
}

function post(path: string, json?: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) {
  return app.request(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

const async = { prefer: "respond-async" };
const code = async (response: Response) => [response.status, (await response.json()).error.code];

async function accepted(headers: Record<string, string> = {}): Promise<View> {
  const response = await post("/v1/runs", body, { ...async, ...headers });
  expect(response.status, await response.clone().text()).toBe(202);
  return await response.json();
}

async function finished(path = "/v1/runs", asked: unknown = body): Promise<View> {
  const response = await post(path, asked);
  expect(response.status, await response.clone().text()).toBe(200);
  const view = await response.json();
  expect(view.status).toBe("succeeded");
  return view;
}

test("a waiting caller gets the run at its end, and its picture", async () => {
  worker.start();
  const view = await finished();
  expect(view).toMatchObject({ step: 6, steps: 6, parent: null });
  const result = await app.request(`/v1/runs/${view.id}/result`);
  expect(result.headers.get("content-type")).toBe("image/png");
  expect(new Uint8Array(await result.arrayBuffer())).toEqual(await undisturbed(input));
  const timeline = await (await app.request(`/v1/runs/${view.id}/timeline`)).json();
  expect(timeline).toMatchObject({ side: 8, step: 6 });
  expect(new Set(timeline.revealed_at)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  for (const step of [0, 3, 3, 6]) {
    const image = await app.request(`/v1/runs/${view.id}/steps/${step}/image`);
    const flat = new Uint8Array(await image.arrayBuffer()).filter((value) => value === 128).length;
    expect(flat > 0).toBe(step < 6);
  }
  expect(await code(await app.request(`/v1/runs/${view.id}/steps/7/image`))).toEqual([404, "step_not_done"]);

  const fork = await finished(`/v1/runs/${view.id}/fork`, { step: 2, input: { seed: 8 } });
  expect(fork.parent).toMatchObject({ run: view.id, kind: "fork", step: 2 });
  const redraw = await finished(`/v1/runs/${view.id}/redraw`, { boxes: [[0, 0, 32, 32]], input: { steps: 2 } });
  expect(redraw.parent).toMatchObject({ kind: "redraw", positions: [0, 1, 8, 9] });
  expect((await finished(`/v1/runs/${view.id}/redraw`, { mask: "AAAA" })).parent).toMatchObject({ positions: [0] });
  expect(await code(await post(`/v1/runs/${view.id}/redraw`, {}))).toEqual([400, "region_missing"]);
  expect(await code(await post(`/v1/runs/${view.id}/pause`))).toEqual([409, "run_over"]);
  const estimate = await (await post("/v1/runs/estimate", body)).json();
  expect(estimate).toEqual({ steps: 6, tokens: 64, seconds: expect.any(Number) });
});

test("async, listed, paused, resumed, cancelled", async () => {
  const [first, second] = [await accepted(), await accepted()];
  const list = await (await app.request("/v1/runs?limit=1")).json();
  expect(list.data.map(({ id }: View) => id)).toEqual([second.id]);
  const rest = await (await app.request(`/v1/runs?cursor=${encodeURIComponent(list.cursor)}`)).json();
  expect(rest.data.map(({ id }: View) => id)).toEqual([first.id]);
  expect(await code(await app.request(`/v1/runs/${first.id}/result`))).toEqual([409, "run_not_finished"]);
  expect((await (await post(`/v1/runs/${first.id}/pause`)).json()).status).toBe("paused");
  expect((await (await post(`/v1/runs/${first.id}/resume`)).json()).status).toBe("queued");
  expect((await (await post(`/v1/runs/${second.id}/cancel`)).json()).status).toBe("cancelled");
  expect((await post("/v1/runs", body, { prefer: "wait=0" })).status).toBe(202);
  const view = await (await app.request(`/v1/runs/${second.id}`)).json();
  expect(Object.keys(view)).not.toContain("owner");
});

test("what cannot be asked for is refused with a code", async () => {
  for (
    const [asked, status, expected] of [
      [{ task: "sing", input }, 400, "task_unknown"],
      [{ ...body, colour: 1 }, 400, "unknown_parameter"],
      [{ ...body, priority: 10 }, 400, "invalid_run"],
      [{ task: "draw", input: { ...input, steps: 0 } }, 400, "steps_out_of_range"],
      [{ task: "draw", input: { ...input, size: "1x1" } }, 400, "size_unsupported"],
      [[], 400, "invalid_run"],
    ] as const
  ) expect(await code(await post("/v1/runs", asked, async)), expected).toEqual([status, expected]);
  expect(await code(await post("/v1/runs", body, { prefer: "wait=soon" }))).toEqual([400, "prefer_invalid"]);
  expect(await code(await app.request("/v1/runs", { method: "DELETE" }))).toEqual([405, "method_not_allowed"]);
  expect(await code(await app.request("/v1/runs/run_x/events"))).toEqual([404, "run_not_found"]);
});

test("an idempotency key attaches, and refuses another body", async () => {
  const key = { "idempotency-key": "one" };
  const first = await accepted(key);
  const again = await post("/v1/runs", body, { ...async, ...key });
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect((await again.json()).id).toBe(first.id);
  const other = await post("/v1/runs", { ...body, priority: 2 }, { ...async, ...key });
  expect(await code(other)).toEqual([422, "idempotency_key_reused"]);
});

test("another key's run, result, events and controls are not there", async () => {
  const mine = await accepted({ authorization: "Bearer mine" });
  const yours = { authorization: "Bearer yours" };
  for (const path of ["", "/events", "/result", "/timeline", "/steps/0/image"]) {
    const response = await app.request(`/v1/runs/${mine.id}${path}`, { headers: yours });
    expect(await code(response), path).toEqual([404, "run_not_found"]);
  }
  for (const action of ["pause", "resume", "cancel"]) {
    expect(await code(await post(`/v1/runs/${mine.id}/${action}`, undefined, yours))).toEqual([404, "run_not_found"]);
  }
  expect((await (await app.request("/v1/runs", { headers: yours })).json()).data).toEqual([]);
});

describe("events", () => {
  const numbers = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));

  test("come in order and end with the run; Last-Event-ID and after go on behind a number", async () => {
    const { id } = await accepted();
    const stream = app.request(`/v1/runs/${id}/events`);
    worker.start();
    const text = await (await stream).text();
    expect(text.startsWith(": open\n\n")).toBe(true);
    expect(numbers(text)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(text).toContain("event: run.succeeded");
    const resumed = await app.request(`/v1/runs/${id}/events`, { headers: { "last-event-id": "6" } });
    expect(numbers(await resumed.text())).toEqual([7, 8, 9]);
    expect(numbers(await (await app.request(`/v1/runs/${id}/events?after=8`)).text())).toEqual([9]);
    expect(await code(await app.request(`/v1/runs/${id}/events?after=x`))).toEqual([400, "after_invalid"]);
  });

  test("over a real port: headers at once, heartbeats, and a client that leaves costs nothing", async () => {
    const { id } = await accepted();
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
    try {
      const leaving = new AbortController();
      const response = await fetch(`http://127.0.0.1:${server.addr.port}/v1/runs/${id}/events`, {
        signal: leaving.signal,
      });
      expect(response.headers.get("content-type")).toContain("text/event-stream");
      let text = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        if (text.includes(": alive") && text.includes("event: run.queued")) break;
      }
      leaving.abort();
      worker.start();
      const end = performance.now() + 20_000;
      while (engine.seen.steps < 6 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 30));
      expect(engine.seen.steps).toBe(6);
    } finally {
      await server.shutdown();
    }
  });
});

test("event streams of one key are bounded; whoever leaves or comes to the end makes room", async () => {
  const { id } = await accepted();
  const path = `/v1/runs/${id}/events`;
  const open = () => app.request(path);
  const streams = await Promise.all(Array.from({ length: MOST_STREAMS }, open));
  expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 200));
  const refused = await open();
  expect(refused.headers.get("retry-after")).toBe("5");
  expect(await code(refused)).toEqual([429, "too_many_streams"]);
  expect((await app.request(path, { headers: { authorization: "Bearer another" } })).status).toBe(404);
  await streams[0]?.body?.cancel();
  streams[0] = await open();
  expect(streams[0].status).toBe(200);
  // A HEAD reads nothing and takes nothing.
  expect((await app.request(path, { method: "HEAD" })).status).toBe(200);
  expect(await code(await open())).toEqual([429, "too_many_streams"]);
  worker.start();
  for (const text of await Promise.all(streams.map((stream) => stream.text()))) {
    expect(text).toContain("event: run.succeeded");
  }
  const again = await Promise.all(Array.from({ length: MOST_STREAMS }, open));
  expect(again.every(({ status }) => status === 200)).toBe(true);
  for (const stream of again) await stream.body?.cancel();
});

test("a waiting caller that leaves cancels its run, unless it asked to keep it", async () => {
  for (const [prefer, expected] of [["wait=60", "cancelled"], ["wait=60, keep-running", "queued"]] as const) {
    const leaving = new AbortController();
    const pending = post("/v1/runs", body, { prefer }, leaving.signal);
    setTimeout(() => leaving.abort(), 200);
    expect((await pending).status).toBe(499);
    const [run] = (await (await app.request("/v1/runs?limit=1")).json()).data;
    expect(run.status, prefer).toBe(expected);
  }
});

test("a stopping server ends its streams and answers its waiting callers", async () => {
  const { id } = await accepted();
  const stream = await app.request(`/v1/runs/${id}/events`);
  const waiting = post("/v1/runs", body);
  let text = "";
  for await (const chunk of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    if (text.includes("event: run.queued")) closing.abort();
  }
  expect(text).toContain(": open");
  expect((await waiting).status).toBe(202);
});
