/**
 * `deno task bench http`: what HTTP costs. `/health` over 20 connections while pictures are drawn; what a request adds to
 * the engine's own time; and the cold start of a front without an engine, as a multiple of a bare hono app's.
 *
 * @module
 */
import type { Command } from "../commands/lib/command.ts";
import { denokvPath, DenokvServer, TOKEN } from "../commands/lib/denokv.ts";
import { COMMON_FLAGS, parseFlags, usage } from "../commands/lib/flags.ts";
import { describeMachine } from "../commands/lib/machine.ts";
import { startServer } from "../commands/lib/start_server.ts";
import { encodePicture } from "../core/image/codec.ts";
import { openInference } from "../core/tasks/remote.ts";
import { coldStart } from "./lib/cold_start.ts";

const FLAGS = {
  pictures: { kind: "number", help: "pictures of each side of the comparison (default: 20)" },
  seconds: { kind: "number", help: "how long /health is asked (default: 10)" },
  starts: { kind: "number", help: "cold starts of each side (default: 5)" },
  ...COMMON_FLAGS,
} as const;

const CONNECTIONS = 20;
const MODEL = "models/scenes";
const input = (seed: number) => ({ prompt: "a photo of a dog", seed, steps: 16 });

export const httpBench: Command = async (args, { output }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("bench http [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { pictures = 20, seconds = 10, starts = 5 } = flags;
  const server = await startServer();
  let health: readonly number[];
  let layer: Layer;
  try {
    health = await healthWhileDrawing(server.url, seconds);
    layer = await addedByHttp(server.url, pictures);
  } finally {
    await server.stop();
  }
  const cold = await coldStarts(starts);
  const report = {
    machine: await describeMachine(),
    health_requests: health.length,
    health_p50_ms: at(health, 0.5),
    health_p99_ms: at(health, 0.99),
    engine_p50_ms: at(layer.engine, 0.5),
    request_p50_ms: at(layer.request, 0.5),
    added_p50_ms: at(layer.request.map((time, i) => time - (layer.engine[i] ?? 0)), 0.5),
    cold_start: cold,
  };
  output.stderr(
    `/health while drawing, ${CONNECTIONS} connections: p50 ${report.health_p50_ms} ms, p99 ${report.health_p99_ms} ms\n` +
      `a picture: ${report.engine_p50_ms} ms of the engine, ${report.request_p50_ms} ms as a request, ` +
      `${report.added_p50_ms} ms added at p50\n` +
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
    for (let seed = 0; !over(); seed++) await requestPicture(url, seed);
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

/** Ms of the same pictures, in the same order. */
interface Layer {
  readonly engine: readonly number[];
  readonly request: readonly number[];
}

/**
 * The same picture by turns, each side first in every other one: from an inference of this process to a file's bytes, as
 * `deno task draw` makes them, and from the server to the answer's last byte.
 */
async function addedByHttp(url: string, pictures: number): Promise<Layer> {
  const inference = await openInference({ modelFolder: MODEL, provider: "cpu" });
  try {
    const [engine, request]: [number[], number[]] = [[], []];
    const sides = [
      [engine, async (seed: number) => void await encodePicture((await inference.draw(input(seed))).picture, "png")],
      [request, (seed: number) => requestPicture(url, seed)],
    ] as const;
    for (let seed = 0; seed <= pictures; seed++) {
      for (const [times, draw] of seed % 2 === 0 ? sides : sides.toReversed()) {
        const start = performance.now();
        await draw(seed);
        // The first of each warms up.
        if (seed > 0) times.push(performance.now() - start);
      }
    }
    return { engine, request };
  } finally {
    await inference.close();
  }
}

async function requestPicture(url: string, seed: number): Promise<void> {
  const response = await fetch(`${url}/v1/images/generations`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input(seed)),
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
