/**
 * What a request adds to the engine's own time: the same picture by turns through the engine (open, steps, decode),
 * through a run that nobody asked for over HTTP (queue, snapshots, commits, file), and through HTTP; in one process and so
 * with the same threads, one at a time, with nothing else to do. The HTTP layer (`functions/`, the socket, the client) is
 * what a request adds to such a run.
 *
 * @module
 */
import { codecThread } from "../../core/image/codec_thread.ts";
import { ended } from "../../core/runs/follow.ts";
import { type House, openHouse } from "../../core/runs/house.ts";
import { openInference } from "../../core/tasks/remote.ts";
import { median } from "./median.ts";
import { type Parts, RequestWatch } from "./request_watch.ts";
import { serverHere } from "./server_here.ts";

export interface Input {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
}

/** Ms of one picture by all ways. */
interface Pair {
  /** `RemoteInference.draw`. */
  readonly engine: number;
  /** Its file, by the server's own codec. */
  readonly file: number;
  /** From asking for it until its result's bytes are there. */
  readonly run: number;
  /** From the request to the answer's last byte. */
  readonly request: number;
  readonly parts: Parts;
}

/** Pictures of each side that only warm up. */
const WARM_UP = 6;

const OWNER = "bench";

export interface Spread {
  readonly p50: number;
  /** Quartiles. */
  readonly p25: number;
  readonly p75: number;
  readonly minimum: number;
}

export interface AddedByHttp {
  readonly pictures: number;
  readonly engine_ms: Spread;
  readonly file_ms: Spread;
  readonly run_ms: Spread;
  readonly request_ms: Spread;
  /** Pair by pair: request - run. */
  readonly http_ms: Spread;
  /** 95 % interval of the median of `http_ms`, by order statistics. */
  readonly http_p50_interval_ms: readonly [number, number];
  /** Pair by pair: request - engine - file, so with the run's queue, snapshots and commits. */
  readonly added_ms: Spread;
  /** Likewise of `added_ms`. */
  readonly added_p50_interval_ms: readonly [number, number];
  /** Pair by pair: request - engine, the writing of the file with it. */
  readonly added_with_file_ms: Spread;
  /** Medians. */
  readonly parts_ms: Parts;
}

export async function addedByHttp(
  model: string,
  pictures: number,
  input: (seed: number) => Input,
  post: (url: string, input: Input) => Promise<void>,
): Promise<AddedByHttp> {
  const watch = new RequestWatch(await openInference({ modelFolder: model, provider: "cpu" }), codecThread());
  const { inference, codec } = watch;
  const server = await serverHere(inference, codec);
  const folder = await Deno.makeTempDir();
  const { encode } = codec;
  const house = await openHouse({ inference, modelFolder: model, store: `${folder}/runs.db`, encode });
  try {
    const pairs: Pair[] = [];
    for (let seed = 0; seed < WARM_UP + pictures; seed++) {
      let own: { readonly engine: number; readonly file: number } | undefined;
      let run: number | undefined;
      let asked: { readonly request: number; readonly parts: Parts } | undefined;
      const sides = [
        async () => {
          const [engine, { picture }] = await timed(() => inference.draw(input(seed)));
          own = { engine, file: (await timed(() => codec.encode(picture, "png")))[0] };
        },
        async () => {
          run = (await timed(() => runPicture(house, input(seed))))[0];
        },
        async () => {
          const start = watch.start();
          const [request] = await timed(() => post(server.url, input(seed)));
          asked = { request, parts: watch.parts(start, request) };
        },
      ];
      // Each side is first, second and last equally often.
      const first = seed % sides.length;
      for (const side of [...sides.slice(first), ...sides.slice(0, first)]) await side();
      if (seed >= WARM_UP && own && run !== undefined && asked) pairs.push({ ...own, run, ...asked });
    }
    return summary(pairs);
  } finally {
    await house.close();
    await Deno.remove(folder, { recursive: true });
    await server.stop();
  }
}

/** As the door of pictures does it, from the checked input to the file's bytes. */
async function runPicture({ runs }: House, input: Input): Promise<void> {
  const { record: { id } } = await runs.create(OWNER, {
    task: "draw",
    input: { ...input },
    output: { format: "png" },
  });
  const last = await ended(runs.ledger, OWNER, id, AbortSignal.timeout(60_000));
  if (last?.state !== "succeeded") throw new Error(`the run ended as ${last?.state ?? "lost"}`);
  await runs.resultOf(last);
}

export function summary(pairs: readonly Pair[]): AddedByHttp {
  const http = pairs.map(({ run, request }) => request - run);
  const added = pairs.map(({ engine, file, request }) => request - engine - file);
  const part = (name: keyof Parts) => round(median(pairs.map(({ parts }) => parts[name])));
  return {
    pictures: pairs.length,
    engine_ms: spread(pairs.map(({ engine }) => engine)),
    file_ms: spread(pairs.map(({ file }) => file)),
    run_ms: spread(pairs.map(({ run }) => run)),
    request_ms: spread(pairs.map(({ request }) => request)),
    http_ms: spread(http),
    http_p50_interval_ms: medianInterval(http),
    added_ms: spread(added),
    added_p50_interval_ms: medianInterval(added),
    added_with_file_ms: spread(pairs.map(({ engine, request }) => request - engine)),
    parts_ms: {
      before: part("before"),
      engine: part("engine"),
      between: part("between"),
      file: part("file"),
      after: part("after"),
    },
  };
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [number, T]> {
  const start = performance.now();
  const value = await work();
  return [performance.now() - start, value];
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => round(sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
  return { p50: round(median(values)), p25: at(0.25), p75: at(0.75), minimum: at(0) };
}

/** Ranks n/2 -+ 0.98 sqrt(n). */
function medianInterval(values: readonly number[]): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const half = 0.98 * Math.sqrt(sorted.length);
  const low = Math.max(0, Math.floor(sorted.length / 2 - half));
  const high = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + half) - 1);
  return [round(sorted[low] ?? 0), round(sorted[high] ?? 0)];
}

const round = (value: number): number => Number(value.toFixed(2));
