/**
 * `deno task bench http`: what HTTP costs. What a request adds to the engine's own time, with nothing else to do;
 * `/health` over 20 connections while pictures are drawn; and the cold start of a front without an engine, as a multiple
 * of a bare hono app's.
 *
 * @module
 */
import type { Command } from "../commands/lib/command.ts";
import { denokvPath, DenokvServer, TOKEN } from "../commands/lib/denokv.ts";
import { COMMON_FLAGS, parseFlags, usage } from "../commands/lib/flags.ts";
import { describeMachine } from "../commands/lib/machine.ts";
import { startServer } from "../commands/lib/start_server.ts";
import { addedByHttp, type Input } from "./lib/added_by_http.ts";
import { coldStart } from "./lib/cold_start.ts";

const FLAGS = {
  pictures: { kind: "number", help: "pictures of each side of the comparison (default: 40)" },
  seconds: { kind: "number", help: "how long /health is asked (default: 10)" },
  starts: { kind: "number", help: "cold starts of each side (default: 5)" },
  ...COMMON_FLAGS,
} as const;

const CONNECTIONS = 20;
const MODEL = "models/scenes";
const input = (seed: number): Input => ({ prompt: "a photo of a dog", seed, steps: 16 });

export const httpBench: Command = async (args, { output }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("bench http [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { pictures = 40, seconds = 10, starts = 5 } = flags;
  const layer = await addedByHttp(MODEL, pictures, input, requestPicture);
  const server = await startServer();
  const health = await healthWhileDrawing(server.url, seconds).finally(() => server.stop());
  const cold = await coldStarts(starts);
  const report = {
    machine: await describeMachine(),
    layer,
    health_requests: health.length,
    health_p50_ms: at(health, 0.5),
    health_p99_ms: at(health, 0.99),
    cold_start: cold,
  };
  const { engine_ms, file_ms, run_ms, request_ms, http_ms, added_ms, parts_ms } = layer;
  const within = ([low, high]: readonly [number, number]) => `(95 %: ${low} to ${high})`;
  output.stderr(
    `${pictures} pictures of ${input(0).steps} steps, each by the engine, as a run, and over HTTP, in one process\n` +
      `  engine (open, steps, decode)  p50 ${engine_ms.p50} ms\n` +
      `  the file of its pixels        p50 ${file_ms.p50} ms\n` +
      `  run, not asked for over HTTP  p50 ${run_ms.p50} ms\n` +
      `  request                       p50 ${request_ms.p50} ms\n` +
      `  HTTP: request - run           p50 ${http_ms.p50} ms ${within(layer.http_p50_interval_ms)}, ` +
      `quartiles ${http_ms.p25} and ${http_ms.p75}\n` +
      `  run and HTTP, added to engine and file p50 ${added_ms.p50} ms ${within(layer.added_p50_interval_ms)}, ` +
      `quartiles ${added_ms.p25} and ${added_ms.p75}, least ${added_ms.minimum}\n` +
      `  added to the engine alone     p50 ${layer.added_with_file_ms.p50} ms\n` +
      `  a request's parts: ${parts_ms.before} ms until the engine is asked, ${parts_ms.engine} in it, ` +
      `${parts_ms.between} between its calls, ${parts_ms.file} the file, ${parts_ms.after} until the answer's end\n` +
      `/health while drawing, ${CONNECTIONS} connections: p50 ${report.health_p50_ms} ms, p99 ${report.health_p99_ms} ms\n` +
      (cold === null
        ? "no denokv: the front's cold start was not measured\n"
        : `cold start: front ${cold.front_ms} ms, bare hono ${cold.hono_ms} ms, ${cold.multiple} times\n`),
  );
  return report;
};

/** Ms of each answer, while one caller draws without a pause. */
async function healthWhileDrawing(url: string, seconds: number): Promise<readonly number[]> {
  const end = performance.now() + seconds * 1000;
  const times: number[] = [];
  const over = () => performance.now() >= end;
  const drawing = async () => {
    for (let seed = 0; !over(); seed++) await requestPicture(url, input(seed));
  };
  const asking = async () => {
    while (!over()) {
      const start = performance.now();
      const response = await fetch(`${url}/health`);
      await response.arrayBuffer();
      times.push(performance.now() - start);
    }
  };
  await Promise.all([drawing(), ...Array.from({ length: CONNECTIONS }, asking)]);
  return times;
}

async function requestPicture(url: string, input: Input): Promise<void> {
  const response = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
}

/** Medians, by turns; null without a denokv for the front's store. */
async function coldStarts(starts: number) {
  const binary = denokvPath();
  if (binary === null) return null;
  const store = await DenokvServer.start(binary);
  try {
    const env = {
      UNMASK_ENGINE: "none",
      UNMASK_MODEL: "scenes",
      UNMASK_AUTH: "open",
      UNMASK_STORE: store.address,
      DENO_KV_ACCESS_TOKEN: TOKEN,
    };
    const [front, hono]: [number[], number[]] = [[], []];
    for (let i = 0; i <= starts; i++) {
      const [a, b] = [await coldStart("functions/app.ts", env), await coldStart("bench/lib/bare_hono.ts", {})];
      // The first of each fills the caches of compiled code.
      if (i === 0) continue;
      front.push(a);
      hono.push(b);
    }
    const [front_ms, hono_ms] = [at(front, 0.5), at(hono, 0.5)];
    return { front_ms, hono_ms, multiple: round(front_ms / hono_ms) };
  } finally {
    await store.stop();
  }
}

function at(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0);
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
