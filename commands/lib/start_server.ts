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

/** Characters of its stderr that are kept for an error. */
const SAID = 2000;

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
    stderr: "piped",
  }).spawn();
  let said = "";
  const heard = (async () => {
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) said = (said + text).slice(-SAID);
  })();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  const { value = "{}" } = await lines.read();
  const { url } = JSON.parse(value) as { readonly url?: unknown };
  if (typeof url !== "string") {
    // Its first line is its last: it says what is wrong, and ends.
    const { code, signal } = await process.status;
    await heard;
    throw new UnmaskError({
      code: "server_failed",
      message: `the server did not start (${signal ?? `code ${code}`}): ${said.trim() || value}`,
      fix: "mend what it names, or try deno task start",
      status: 500,
    });
  }
  return {
    url,
    pid: process.pid,
    async stop() {
      try {
        process.kill("SIGTERM");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        // It has ended by itself, which whoever stops it must not take for its own doing.
        const { code, signal } = await process.status;
        await heard;
        throw new UnmaskError({
          code: "server_ended",
          message: `the server had ended by itself (${signal ?? `code ${code}`}): ${said.trim()}`,
          fix: "look into what it said last",
          status: 500,
          cause: error,
        });
      }
      await process.status;
      await lines.cancel().catch(() => {});
    },
  };
}
