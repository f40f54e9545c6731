/**
 * The server as its user meets it: seconds from `deno task start` to the first picture, and the most memory it took.
 *
 * @module
 */
import { z } from "zod";
import { UnmaskError } from "../../core/errors.ts";

export interface ServerMeasure {
  /** From the start of the command until it can draw. */
  readonly readySeconds: number;
  /** From the start of the command to the last byte of the first picture, over HTTP. */
  readonly firstPictureSeconds: number;
  /** VmHWM of the server process after all pictures, bytes; undefined where there is no /proc. */
  readonly peakMemory: number | undefined;
  readonly pictures: number;
}

/** The line of `deno task start --json`. */
const announced = z.object({ url: z.string(), error: z.object({ message: z.string(), fix: z.string() }) }).partial();

export interface ServerOptions {
  readonly prompts: readonly string[];
  readonly threads: number | undefined;
  readonly model: string | undefined;
}

/** @throws `server_failed` */
export async function measureServer({ prompts, threads, model }: ServerOptions): Promise<ServerMeasure> {
  const start = performance.now();
  const child = new Deno.Command("deno", {
    args: [
      "task",
      "start",
      "--json",
      "--port=0",
      ...(threads === undefined ? [] : [`--threads=${threads}`]),
      ...(model === undefined ? [] : [`--model=${model}`]),
      // Its own: another server of this folder may hold the default file.
      "--store=:memory:",
      "--provider=cpu",
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const url = await readyUrl(child.stdout);
    const readySeconds = seconds(start);
    let firstPictureSeconds = 0;
    for (const [index, prompt] of prompts.entries()) {
      await drawOver(url, prompt, index);
      if (index === 0) firstPictureSeconds = seconds(start);
    }
    const peakMemory = await peak(await serverProcess(child.pid));
    return { readySeconds, firstPictureSeconds, peakMemory, pictures: prompts.length };
  } finally {
    await stop(child);
  }
}

/** The task runner ends with the server; a server that ended before is no fault here. */
async function stop(child: Deno.ChildProcess): Promise<void> {
  try {
    Deno.kill(await serverProcess(child.pid), "SIGTERM");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
  }
  await child.status;
}

function seconds(start: number): number {
  return (performance.now() - start) / 1000;
}

async function readyUrl(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("\n")) break;
  }
  const line = announced.safeParse(text === "" ? undefined : JSON.parse(text));
  if (line.data?.url !== undefined) return line.data.url;
  throw new UnmaskError({
    code: "server_failed",
    message: `deno task start did not come up: ${line.data?.error?.message ?? "it said nothing"}`,
    fix: line.data?.error?.fix ?? "run it by hand and read its message",
    status: 500,
  });
}

async function drawOver(url: string, prompt: string, seed: number): Promise<void> {
  const response = await fetch(new URL("/v1/images/generations", url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt, seed }),
  });
  const body = await response.text();
  if (response.ok && body.includes("b64_json")) return;
  throw new UnmaskError({
    code: "server_failed",
    message: `the server answered ${response.status} to a prompt of the benchmark`,
    fix: "run deno task start and draw by hand",
    status: 500,
  });
}

/** The youngest process below `deno task`: the task runner itself draws nothing. */
async function serverProcess(parent: number): Promise<number> {
  const children = await Deno.readTextFile(`/proc/${parent}/task/${parent}/children`).catch(() => "");
  const child = Number(children.trim().split(" ")[0]);
  return child > 0 ? await serverProcess(child) : parent;
}

async function peak(pid: number): Promise<number | undefined> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}
