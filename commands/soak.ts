/**
 * `deno task soak [--minutes N]`: 8 clients of two keys draw without a pause through three doors. No request may fail, the
 * server's memory must be flat after the first minute, and each key must get its share.
 *
 * @module
 */
import { UnmaskError } from "../core/errors.ts";
import { type Command, type ExitCode, type JsonLine, main } from "./lib/command.ts";
import { COMMON_FLAGS, parseFlags, usage } from "./lib/flags.ts";
import { type StartedServer, startServer } from "./lib/start_server.ts";

const FLAGS = {
  minutes: { kind: "number", help: "how long (default: 10)" },
  ...COMMON_FLAGS,
} as const;

const CLIENTS = 8;
const KEYS = 2;
/** Ms between two looks at the server's memory. */
const LOOK = 1000;
/** Of memory, from the beginning to the end of what counts. */
const FLAT = 0.05;
/** By which a key's pictures may differ from an equal share. */
const SHARE = 0.1;

export interface SoakReport extends JsonLine {
  readonly minutes: number;
  readonly pictures: number;
  readonly failed: number;
  /** The first failure's text, or null. */
  readonly failure: string | null;
  /** Part of all pictures, by key; 0.5 is equal. */
  readonly shares: readonly number[];
  /** Resident bytes: medians of the first and the last fifth of the time after the first minute. */
  readonly memory: readonly [number, number];
  readonly growth: number;
  readonly passed: boolean;
}

export const soakCommand: Command = async (args, { output, signal }) => {
  const { flags } = parseFlags(args, FLAGS);
  if (flags.help) {
    output.stderr(`${usage("soak [flags]", FLAGS)}\n`);
    return { help: true };
  }
  const { minutes = 10 } = flags;
  if (!(minutes > 0 && minutes <= 600)) {
    throw new UnmaskError({
      code: "minutes_out_of_range",
      message: "it cannot last that long",
      fix: "use a number of minutes up to 600",
      param: "minutes",
    });
  }
  // As `deno task start` keeps its runs: in memory, every picture that is kept would count as growth.
  const store = `.unmask/soak-${crypto.randomUUID().slice(0, 8)}.db`;
  const server = await startServer(["--store", store]);
  try {
    const report = await soak(server, minutes, signal, (text) => output.stderr(text));
    const { pictures, failed, shares, growth } = report;
    output.stderr(
      `${pictures} pictures, ${failed} failed, shares ${shares.map((share) => share.toFixed(3)).join(" and ")}, ` +
        `memory ${growth >= 0 ? "+" : ""}${(100 * growth).toFixed(1)} % after the first minute\n`,
    );
    return report;
  } finally {
    await server.stop();
    for (const suffix of ["", ".lock", "-shm", "-wal"]) await Deno.remove(`${store}${suffix}`).catch(() => {});
  }
};

/** Against a server with process id `pid`. */
export async function soak(
  { url, pid }: Pick<StartedServer, "url" | "pid">,
  minutes: number,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<SoakReport> {
  const keys = await Promise.all(Array.from({ length: KEYS }, (_, index) => makeKey(url, `soak ${index}`)));
  const end = performance.now() + minutes * 60_000;
  const over = () => signal.aborted || performance.now() >= end;
  const done = keys.map(() => 0);
  const failures: string[] = [];
  const client = async (index: number) => {
    const owner = index % KEYS;
    for (let turn = 0; !over(); turn++) {
      const failure = await draw(url, keys[owner] ?? "", index * 100_000 + turn);
      if (failure === null) done[owner] = (done[owner] ?? 0) + 1;
      else failures.push(failure);
    }
  };
  const memory: number[] = [];
  const watch = async () => {
    const start = performance.now();
    while (!over()) {
      await new Promise((resolve) => setTimeout(resolve, LOOK));
      // The first minute fills caches.
      if (performance.now() - start > Math.min(60_000, minutes * 12_000)) memory.push(await resident(pid));
      if (memory.length % 60 === 1) {
        say(`${done.join(" and ")} pictures, ${Math.round((memory.at(-1) ?? 0) / 1e6)} MB\n`);
      }
    }
  };
  await Promise.all([watch(), ...Array.from({ length: CLIENTS }, (_, index) => client(index))]);
  const pictures = done.reduce((sum, count) => sum + count, 0);
  const shares = done.map((count) => count / Math.max(1, pictures));
  const fifth = Math.max(1, Math.floor(memory.length / 5));
  const [first, last] = [median(memory.slice(0, fifth)), median(memory.slice(-fifth))];
  const growth = first === 0 ? 0 : (last - first) / first;
  const fair = shares.every((share) => Math.abs(share * KEYS - 1) <= SHARE);
  return {
    minutes,
    pictures,
    failed: failures.length,
    failure: failures[0] ?? null,
    shares,
    memory: [first, last],
    growth,
    passed: pictures > 0 && failures.length === 0 && growth <= FLAT && fair,
  };
}

async function makeKey(url: string, name: string): Promise<string> {
  const response = await fetch(`${url}/v1/keys`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name }),
  });
  const { key } = await response.json();
  if (typeof key !== "string") {
    throw new UnmaskError({
      code: "key_not_made",
      message: "the server made no key",
      fix: "look at its log",
      status: 500,
    });
  }
  return key;
}

/** One picture through one of three doors. @returns why there is none, or null */
async function draw(url: string, key: string, seed: number): Promise<string | null> {
  const input = { prompt: "a photo of a dog", seed, steps: 8 };
  const doors = [["/v1/images/generations", input], ["/predictions", { input }], ["/v2/soak/runsync", {
    input,
  }]] as const;
  const [path, body] = doors[seed % doors.length] ?? doors[0];
  try {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    const picture = answer.data?.[0]?.b64_json ?? answer.output;
    return response.ok && typeof picture === "string"
      ? null
      : `${path}: ${response.status} ${JSON.stringify(answer).slice(0, 200)}`;
  } catch (error) {
    return `${path}: ${error instanceof Error ? error.message : error}`;
  }
}

/** Bytes. */
async function resident(pid: number): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

const exitOf = (line: JsonLine): ExitCode => (line["help"] === true || line["passed"] === true ? 0 : 1);

if (import.meta.main) await main(soakCommand, exitOf);
