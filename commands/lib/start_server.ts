/**
 * `deno task start` as a process of its own, for what tries a whole server: fuzz, soak, bench http.
 *
 * @module
 */
import { TextLineStream } from "./text_lines.ts";
import { UnmaskError } from "../../core/errors.ts";

export interface StartedServer {
  readonly url: string;
  /** Of the process that serves. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** A server with its runs in memory, limits out of the way, and nobody asked for a key, unless flags say otherwise. */
export async function startServer(flags: readonly string[] = []): Promise<StartedServer> {
  const config: { readonly tasks: Readonly<Record<string, string>> } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  const [, ...task] = (config.tasks["start"] ?? "").split(" ");
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...task,
      ...["--port", "0", "--store", ":memory:", "--provider", "cpu", "--json"],
      ...["--rate", "100000", "--runs", "100000", "--queue", "100000"],
      ...flags,
    ],
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  const { value = "{}" } = await lines.read();
  const { url } = JSON.parse(value) as { readonly url?: unknown };
  if (typeof url !== "string") {
    process.kill();
    await process.status;
    throw new UnmaskError({
      code: "server_failed",
      message: "the server did not start",
      fix: "try deno task start",
      status: 500,
    });
  }
  return {
    url,
    pid: process.pid,
    async stop() {
      process.kill("SIGTERM");
      await process.status;
      await lines.cancel().catch(() => {});
    },
  };
}
