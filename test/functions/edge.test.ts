import { afterEach, describe, expect, test } from "vitest";
import { DenokvServer, TOKEN } from "../../commands/lib/denokv.ts";
import { edgeSettings } from "../../functions/edge.ts";
import { findDenokv } from "../core/runs/store/servers.ts";
import { until } from "./real_server.ts";

const ROOT = new URL("../../", import.meta.url);
const VARIABLES = ["ENGINE", "MODEL", "STORE", "AUTH", "HOSTS", "BASE_URL"].map((name) => `UNMASK_${name}`);
const input = { prompt: "a photo of a dog", seed: 1, steps: 2 };

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A process of Deno's, and what it wrote. */
function spawn(args: readonly string[], env: Record<string, string>) {
  const process = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env,
    cwd: ROOT,
    stdout: "piped",
    stderr: "piped",
  })
    .spawn();
  const said: string[] = [];
  const reading = [process.stdout, process.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) said.push(text);
  });
  stops.push(async () => {
    try {
      process.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await process.status;
    await Promise.all(reading);
  });
  return { process, text: () => said.join("") };
}

/** `deno serve functions/app.ts` without FFI, subprocesses and writing. */
async function isolate(env: Record<string, string>, more: readonly string[] = []): Promise<string> {
  const { text } = spawn([
    ...["serve", "--no-prompt", "--deny-ffi", "--deny-run", "--deny-write", "--allow-read=.", "--allow-net=127.0.0.1"],
    `--allow-env=${[...VARIABLES, "IMAGESCRIPT_WASM_SIMD", "DENO_KV_ACCESS_TOKEN"]}`,
    ...more,
    ...["--host", "127.0.0.1", "--port", "0", "functions/app.ts"],
  ], { UNMASK_AUTH: "open", ...env });
  return await until("address", () => /listening on (http:\S+)/.exec(text())?.[1]).catch((error: unknown) => {
    throw new Error(`${error}: ${text()}`);
  });
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

/** The PNG of a data URL. */
function pngOf(output: unknown): Uint8Array {
  expect(output).toMatch(/^data:image\/png;base64,/);
  const bytes = Uint8Array.fromBase64(String(output).split(",")[1] ?? "");
  expect([...bytes.slice(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
  return bytes;
}

test("the app in an isolate without FFI, subprocesses and writing draws with the wasm provider", async () => {
  const url = await isolate({ UNMASK_ENGINE: "wasm" });
  const prediction = await (await post(`${url}/predictions`, { input })).json();
  expect(prediction, JSON.stringify(prediction).slice(0, 300)).toMatchObject({ status: "succeeded" });
  pngOf(prediction.output);
  const health = await (await fetch(`${url}/health`)).json();
  expect(health).toMatchObject({ ready: true, provider: "wasm", model: "scenes" });
});

const denokv = findDenokv();
test.skipIf(denokv === null)(
  "a front without an engine accepts, streams and serves what a worker elsewhere computes",
  async () => {
    if (denokv === null) throw new Error("no denokv");
    const store = await DenokvServer.start(denokv);
    stops.push(() => store.stop());
    const env = { UNMASK_STORE: store.address, DENO_KV_ACCESS_TOKEN: TOKEN };
    // It could not load a runtime or a codec if it tried.
    const never = ["onnxruntime-node", "onnxruntime-web", "imagescript"].map((name) => `node_modules/${name}`);
    const url = await isolate({ ...env, UNMASK_ENGINE: "none", UNMASK_MODEL: "scenes" }, [`--deny-read=${never}`]);
    const health = await until("ready front", async () => {
      const response = await fetch(`${url}/health`);
      const body = await response.json();
      return response.ok ? body : undefined;
    });
    expect(health).toMatchObject({ ready: true, provider: null, model: null });

    const created = await post(`${url}/predictions`, { id: "mine", input }, { prefer: "respond-async" });
    expect([created.status, (await created.json()).status]).toEqual([202, "starting"]);
    // Nobody computes yet: the stream opens, and tells of nothing.
    const stream = await fetch(`${url}/predictions/mine`, {
      method: "PUT",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ id: "mine", input }),
    });
    expect(stream.headers.get("content-type")).toContain("text/event-stream");

    const worker = spawn([
      ...["run", "--no-prompt", "--allow-read", "--allow-ffi", "--allow-sys", "--allow-env", "--allow-net"],
      ...["commands/worker.ts", "--store", store.address, "--provider", "cpu", "--threads", "1"],
    ], env);
    const text = await stream.text().catch((error: unknown) => {
      throw new Error(`${error}: ${worker.text()}`);
    });
    const events = [...text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)];
    expect(events.map(([, name]) => name)).toEqual(["start", "log", "log", "output", "completed"]);
    const { output } = JSON.parse(events.at(-1)?.[2] ?? "{}");
    const [run] = (await (await fetch(`${url}/v1/runs`)).json()).data;
    const result = await fetch(`${url}/v1/runs/${run.id}/result`);
    expect(new Uint8Array(await result.arrayBuffer())).toEqual(pngOf(output));
    // What needs pixels is refused in words.
    const preview = await fetch(`${url}/v1/runs/${run.id}/steps/1/image`);
    expect([200, 202, 501]).toContain(preview.status);
    await preview.body?.cancel();
  },
);

/** Modules that code loads from `root`, types aside, as `deno info` says. */
async function graphOf(root: string): Promise<readonly string[]> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", root],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  expect(success).toBe(true);
  const graph: {
    readonly roots: readonly string[];
    readonly redirects: Readonly<Record<string, string>>;
    readonly modules: readonly {
      readonly specifier: string;
      readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
    }[];
  } = JSON.parse(new TextDecoder().decode(stdout));
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const visit = (specifier: string): void => {
    const real = graph.redirects[specifier] ?? specifier;
    if (seen.has(real)) return;
    seen.add(real);
    for (const { code } of modules.get(real)?.dependencies ?? []) if (code?.specifier) visit(code.specifier);
  };
  for (const each of graph.roots) visit(each);
  return [...seen];
}

describe("module graphs", () => {
  const heavy = /onnxruntime|imagescript|core\/image\/(codec|imagescript|webp)\.ts|core\/engine\/(ort|cpu|wasm|webgpu)/;

  test("the app's holds neither a runtime nor an image codec", async () => {
    const graph = await graphOf("functions/app.ts");
    expect(graph.filter((module) => heavy.test(module))).toEqual([]);
    // It is the whole app that was looked at, the front in it.
    for (const part of ["functions/edge.ts", "core/runs/front.ts", "functions/routes/cog.ts", "npm:/hono"]) {
      expect(graph.some((module) => module.includes(part)), part).toBe(true);
    }
  });

  test("the threads' do: the pattern finds what it looks for", async () => {
    expect((await graphOf("core/tasks/thread_entry.ts")).filter((module) => heavy.test(module)).length).toBeGreaterThan(
      3,
    );
    expect((await graphOf("core/image/codec_entry.ts")).some((module) => module.includes("npm:/imagescript"))).toBe(
      true,
    );
  });
});

test("settings that cannot be are refused by name", () => {
  const settings = (values: Record<string, string>) => edgeSettings((name) => values[name]);
  expect(settings({})).toMatchObject({ engine: "auto", store: ":memory:", auth: "keys", hosts: [], baseUrl: null });
  expect(settings({ UNMASK_HOSTS: " a.example, b.example " }).hosts).toEqual(["a.example", "b.example"]);
  for (
    const [name, value] of [["UNMASK_ENGINE", "tpu"], ["UNMASK_AUTH", "none"], [
      "UNMASK_BASE_URL",
      "a.example",
    ]] as const
  ) {
    expect(() => settings({ [name]: value }), name).toThrow(
      expect.objectContaining({ code: "setting_invalid", param: name }),
    );
  }
});
