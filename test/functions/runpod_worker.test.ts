import { afterEach, beforeEach, expect, test } from "vitest";
import { RUNPOD_OWNER, type RunpodAddresses, runpodAddresses, RunpodWorker } from "../../functions/runpod_worker.ts";
import { undisturbed } from "../core/runs/table_engine.ts";
import { type RealServer, realServer, until } from "./real_server.ts";

const input = { prompt: "a dog", seed: 3, steps: 20 };

/** That cloud's side of the job loop, on a real port. */
class Cloud {
  readonly queue: unknown[] = [];
  readonly posts: { readonly path: string; readonly job: string; readonly stream: boolean; readonly body: unknown }[] =
    [];
  readonly pings: string[] = [];
  readonly keys = new Set<string | null>();
  /** What the next posts are answered, before 200. */
  readonly failures: number[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      this.keys.add(request.headers.get("authorization"));
      if (pathname.startsWith("/take/")) {
        const job = this.queue.shift();
        if (typeof job === "number") return new Response(null, { status: job });
        return job === undefined ? new Response(null, { status: 204 }) : Response.json(job);
      }
      if (pathname.startsWith("/ping/")) {
        this.pings.push(searchParams.get("job_id") ?? "");
        return new Response();
      }
      const failure = this.failures.shift();
      if (failure !== undefined) return new Response("", { status: failure });
      const [, path = "", job = ""] = pathname.split("/");
      this.posts.push({ path, job, stream: searchParams.get("isStream") === "true", body: await request.json() });
      return new Response();
    });
  }

  addresses(): RunpodAddresses {
    const base = `http://127.0.0.1:${this.#server.addr.port}`;
    const variables: Readonly<Record<string, string>> = {
      RUNPOD_POD_ID: "pod1",
      RUNPOD_AI_API_KEY: "rpa_secret",
      RUNPOD_WEBHOOK_GET_JOB: `${base}/take/$ID?gpu=none`,
      RUNPOD_WEBHOOK_POST_OUTPUT: `${base}/done/$ID/$RUNPOD_POD_ID?gpu=none`,
      RUNPOD_WEBHOOK_POST_STREAM: `${base}/stream/$ID/$RUNPOD_POD_ID?gpu=none`,
      RUNPOD_WEBHOOK_PING: `${base}/ping/$RUNPOD_POD_ID`,
      RUNPOD_PING_INTERVAL: "50",
    };
    return runpodAddresses((name) => variables[name]);
  }

  ended(job: string) {
    return this.posts.find((post) => post.path === "done" && post.job === job);
  }

  close(): Promise<void> {
    return this.#server.shutdown();
  }
}

let cloud: Cloud;
let server: RealServer;
let stopping: AbortController;
let running: Promise<void>;

function start(): void {
  stopping = new AbortController();
  const worker = new RunpodWorker({ runs: server.runs, addresses: cloud.addresses(), slots: 2, idle: 20 });
  running = worker.run(stopping.signal);
}

beforeEach(async () => {
  cloud = new Cloud();
  server = await realServer();
  start();
});
afterEach(async () => {
  stopping.abort();
  await running;
  await server.stop();
  await cloud.close();
});

test("a job becomes a run, its steps are told, and its picture is posted", async () => {
  cloud.queue.push(204, 400, { id: "job-1", input });
  const done = await until("result", () => cloud.ended("job-1"));
  const { output } = done.body as { readonly output: string };
  expect(Uint8Array.fromBase64(output.split(",")[1] ?? "")).toEqual(await undisturbed(input));
  expect(done.stream).toBe(false);
  const steps = cloud.posts.filter(({ path }) => path === "stream").map(({ body }) => body);
  expect(steps.length).toBe(10);
  expect(steps.at(-1)).toEqual({ output: { step: 20, steps: 20 } });
  expect(cloud.keys).toEqual(new Set(["rpa_secret"]));
  expect(cloud.pings.length).toBeGreaterThan(0);
});

test("what the task refuses is the job's error; a job without input is no job", async () => {
  cloud.queue.push({ id: "bad", input: { ...input, steps: 0 } }, { id: "worse" }, { id: "good", input });
  expect((await until("refusal", () => cloud.ended("bad"))).body).toEqual({
    error: expect.stringContaining("steps_out_of_range"),
  });
  await until("result", () => cloud.ended("good"));
  expect(cloud.ended("worse")).toBeUndefined();
});

test("a result whose answer fails is posted again", async () => {
  cloud.failures.push(...Array(11).fill(500));
  cloud.queue.push({ id: "job-1", input });
  expect((await until("result", () => cloud.ended("job-1"))).body).toHaveProperty("output");
});

test("a job that comes again after its worker vanished is the same run", async () => {
  await server.stop();
  server = await realServer({ working: false });
  stopping.abort();
  await running;
  start();
  cloud.queue.push({ id: "job-1", input });
  await until("run", async () => (await server.runs.list(RUNPOD_OWNER)).records[0]);
  // The container is taken away: nothing is posted.
  stopping.abort();
  await running;
  expect(cloud.ended("job-1")).toBeUndefined();
  start();
  server.worker.start();
  // Twice: a question of the old worker that was still on its way may take one with it.
  cloud.queue.push({ id: "job-1", input }, { id: "job-1", input });
  await until("result", () => cloud.ended("job-1"));
  expect((await server.runs.list(RUNPOD_OWNER)).records.length).toBe(1);
});

test("outside that cloud it says what is missing", () => {
  expect(() => runpodAddresses(() => undefined)).toThrow(/not there/);
});
